//! Which kernels the autotuner has chosen, for whoever has to find a wrong one.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Deserializer, Value};
use tracing::error;

/// Logs the kernel chosen for every key that was ever tuned into this cache.
pub(super) fn log(folder: &Path) {
    // The choices only add to the error that is about to be reported.
    let _ = visit(folder, &mut |path| {
        let Ok(text) = fs::read_to_string(path) else { return };
        for (key, kernel) in chosen(&text) {
            error!(%key, kernel, "chosen by the autotuner");
        }
    });
}

/// Calls a function with the autotuner's files below a folder.
fn visit(folder: &Path, act: &mut dyn FnMut(&Path)) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            visit(&path, act)?;
        } else if path.iter().any(|part| part == "autotune") && path.extension().is_some_and(|end| end == "log") {
            act(&path);
        }
    }
    Ok(())
}

/// Keys and the names of their kernels. A file is a JSON object for each key, with NULs between; a torn one ends it.
fn chosen(text: &str) -> Vec<(Value, String)> {
    let text = text.replace('\0', "\n");
    let entries = Deserializer::from_str(&text).into_iter::<Value>().map_while(Result::ok);
    entries
        .filter_map(|entry| {
            let fastest = &entry["value"]["fastest_index"];
            let mut measured = entry["value"]["results"].as_array()?.iter().map(|result| &result["outcome"]["Ok"]);
            let kernel = measured.find(|result| result["index"] == *fastest)?["name"].as_str()?.to_owned();
            Some((entry["key"]["key"].clone(), kernel))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_of_each_key_is_the_fastest_of_those_measured() {
        let result = |index: usize, name: &str| serde_json::json!({"outcome": {"Ok": {"index": index, "name": name}}});
        let failed = serde_json::json!({"outcome": {"Err": {"Unknown": "no"}}});
        let entry = |m: usize, fastest: usize| {
            serde_json::json!({
                "key": {"key": {"m": m}, "checksum": "x"},
                "value": {"fastest_index": fastest, "results": [failed, result(3, "tiled"), result(1, "naive")]},
            })
        };
        let text = format!("{}\0{}\0{{\"key\":", entry(64, 1), entry(128, 3));
        let kernels: Vec<String> = chosen(&text).into_iter().map(|(key, kernel)| format!("{key} {kernel}")).collect();
        assert_eq!(kernels, [r#"{"m":64} naive"#, r#"{"m":128} tiled"#]);
    }
}
