//! The program's allocator, configured for runs that take days.

/// Packets are allocated on one thread and freed on another; the system's allocator keeps more and more of that memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of `mi_option_e` in mimalloc's `mimalloc.h`; the crate does not name it.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Milliseconds before a free page is returned to the system. mimalloc 3 waits for a second, in which a run frees more
/// than it holds. Without a delay, peak memory is lower and the run as fast (`tests/bench/memory.py`).
const PURGE_AFTER: std::ffi::c_long = 0;

/// Returns free pages to the system at once, unless `MIMALLOC_PURGE_DELAY` is set.
#[expect(unsafe_code, reason = "the allocator's settings are only available through C")]
pub(crate) fn return_free_pages() {
    // SAFETY: the option exists in every mimalloc since 2.1, and setting one writes a single word; no thread that
    // allocates here has started yet.
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DELAY, PURGE_AFTER) };
}
