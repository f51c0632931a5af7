//! What a forked process must leave alone.

/// A value that uses threads, for the process that made it.
///
/// A fork gets a copy without the threads, and with the locks as they were: one held by a thread at the fork stays locked
/// forever. So in a fork the value is neither accessible nor dropped, since either could wait for such a lock.
pub(crate) struct InProcess<T> {
    /// `None` only while it is dropped.
    value: Option<T>,
    process: u32,
}

impl<T> InProcess<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: Some(value), process: std::process::id() }
    }

    /// `None` in a fork.
    pub(crate) fn get(&self) -> Option<&T> {
        self.value.as_ref().filter(|_| self.is_here())
    }

    /// `None` in a fork.
    pub(crate) fn get_mut(&mut self) -> Option<&mut T> {
        let here = self.is_here();
        self.value.as_mut().filter(|_| here)
    }

    fn is_here(&self) -> bool {
        self.process == std::process::id()
    }
}

impl<T> Drop for InProcess<T> {
    fn drop(&mut self) {
        if !self.is_here() {
            std::mem::forget(self.value.take());
        }
    }
}
