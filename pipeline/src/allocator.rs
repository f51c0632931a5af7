//! The allocator of the program, set for runs that last for days.

/// Packets are made on one thread and freed on another, for days: the system's allocator keeps ever more of that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of `mi_option_e` in mimalloc's `mimalloc.h`; the crate does not name it.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Milliseconds that a free page waits for its next use before the system gets it back. mimalloc 3 waits a second, in
/// which a run frees more than it holds. Without a wait peak memory is lower and the run takes as long
/// (`tests/bench/memory.py`).
const PURGE_AFTER: std::ffi::c_long = 0;

/// Tells the allocator to give free pages back at once, unless `MIMALLOC_PURGE_DELAY` says otherwise.
#[expect(unsafe_code, reason = "the allocator's settings are reached through C only")]
pub(crate) fn return_free_pages() {
    // SAFETY: the option exists in every mimalloc since 2.1, and setting one writes a single word; no other thread of
    // the program has started yet.
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DELAY, PURGE_AFTER) };
}
