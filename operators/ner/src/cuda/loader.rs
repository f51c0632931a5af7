//! Whether the dynamic loader would find a library.
//!
//! Searches where `ld.so(8)` does: `LD_LIBRARY_PATH`, the loader's cache, the default directories.

use std::path::Path;

/// The directories that the loader tries last.
const DEFAULT_DIRECTORIES: [&str; 6] =
    ["/lib", "/usr/lib", "/lib64", "/usr/lib64", "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu"];

/// Whether a library is installed under this file name, with or without a version suffix.
pub(crate) fn is_installed(file_name: &str) -> bool {
    let library_path = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let cache = std::fs::read("/etc/ld.so.cache").unwrap_or_default();
    std::env::split_paths(&library_path).any(|folder| holds(&folder, file_name))
        || cache_names(&cache, file_name)
        || DEFAULT_DIRECTORIES.iter().any(|folder| holds(Path::new(folder), file_name))
}

fn holds(folder: &Path, file_name: &str) -> bool {
    let is_it = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.is_ok_and(|entry| is_version_of(&entry.file_name().to_string_lossy(), file_name))
    };
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.any(is_it))
}

fn is_version_of(candidate: &str, file_name: &str) -> bool {
    candidate.strip_prefix(file_name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The cache ends with a table of zero-terminated names and paths.
fn cache_names(cache: &[u8], file_name: &str) -> bool {
    cache.split(|&byte| byte == 0).any(|name| {
        let base = name.rsplit(|&byte| byte == b'/').next().unwrap_or(name);
        std::str::from_utf8(base).is_ok_and(|base| is_version_of(base, file_name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_found_in_a_directory_with_or_without_its_version() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!holds(folder.path(), "libcuda.so"));
        std::fs::write(folder.path().join("libcudart.so.12"), "").unwrap();
        assert!(!holds(folder.path(), "libcuda.so"));
        std::fs::write(folder.path().join("libcuda.so.1"), "").unwrap();
        assert!(holds(folder.path(), "libcuda.so"));
    }

    #[test]
    fn libraries_are_found_between_zeros_in_the_loaders_cache() {
        let cache = b"glibc-ld.so.cache1.1\0\x07\0libc.so.6\0/lib/libc.so.6\0libcuda.so.1\0/usr/lib/libcuda.so.1\0";
        assert!(cache_names(cache, "libcuda.so"));
        assert!(!cache_names(cache, "libnvrtc.so"));
    }

    #[test]
    fn the_c_library_of_this_machine_is_found() {
        assert!(is_installed("libc.so"));
        assert!(!is_installed("libno-such-thing.so"));
    }
}
