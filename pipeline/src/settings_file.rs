//! Options from a file: `--config FILE`, TOML or YAML.
//!
//! The keys are the long names of the command's options, with `-` or `_`; a corpus with options may be a table of `file`,
//! `types`, `weight` and `map`. Those of `transformers`' `run_ner` and of NeMo's
//! token classification are understood where they mean the same. An option on the command line wins over the file's.
//! Each setting of the file becomes an argument before the command line is parsed, so that both are checked alike.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::{Map, Value};

/// The subcommands that take a file.
const COMMANDS: [&str; 1] = ["train"];
/// The most bytes that a file may have.
const LIMIT: u64 = 1 << 20;
/// The option that names it.
const OPTION: &str = "--config";

/// Foreign names and ours; nested keys are joined by dots.
const ALIASES: [(&str, &str); 17] = [
    ("model-name-or-path", "base"),
    ("train-file", "train"),
    ("validation-file", "dev"),
    ("output-dir", "output"),
    ("overwrite-output-dir", "overwrite"),
    ("num-train-epochs", "epochs"),
    ("per-device-train-batch-size", "batch-size"),
    ("warmup-ratio", "warmup"),
    ("max-grad-norm", "clip-norm"),
    ("model.language-model.pretrained-model-name", "base"),
    ("model.train-ds.text-file", "train"),
    ("model.validation-ds.text-file", "dev"),
    ("model.train-ds.batch-size", "batch-size"),
    ("model.optim.lr", "learning-rate"),
    ("model.optim.weight-decay", "weight-decay"),
    ("trainer.max-epochs", "epochs"),
    ("trainer.gradient-clip-val", "clip-norm"),
];

/// Foreign names of settings whose value has to be put in other words, see [`translate`].
const WARMUP: &str = "model.optim.sched.warmup-ratio";
const ACCUMULATION: [&str; 2] = ["gradient-accumulation-steps", "trainer.accumulate-grad-batches"];
const ALL_TOKENS: &str = "label-all-tokens";
const BALANCING: &str = "model.dataset.class-balancing";

/// The arguments with the settings of the file that they name, if any, before the user's own.
///
/// # Errors
/// The file cannot be read, is neither TOML nor YAML, or has a key that is no option.
pub(crate) fn expand(args: Vec<OsString>, options: &[String]) -> anyhow::Result<Vec<OsString>> {
    let Some((command, file)) = named_file(&args) else { return Ok(args) };
    let path = Path::new(&file);
    let settings = read(path).with_context(|| format!("cannot use {} as settings", path.display()))?;
    let mut expanded = args[..=command].to_vec();
    for (key, values) in settings {
        if !options.contains(&key) {
            let known = options.join(", ");
            bail!(
                "{}: {key:?} is no option of this command, and no name that another tool has for one; there are: {known}",
                path.display()
            );
        }
        if !given(&args[command..], &key) {
            expanded.push(format!("--{key}").into());
            expanded.extend(values.into_iter().map(OsString::from));
        }
    }
    expanded.extend_from_slice(&args[command + 1..]);
    Ok(expanded)
}

/// Where the subcommand stands and which file its arguments name.
fn named_file(args: &[OsString]) -> Option<(usize, OsString)> {
    let command = args.iter().position(|arg| COMMANDS.iter().any(|command| arg == command))?;
    let at = args.iter().position(|arg| arg.to_string_lossy().split('=').next() == Some(OPTION))?;
    match args[at].to_string_lossy().split_once('=') {
        Some((_, file)) => Some((command, file.into())),
        None => Some((command, args.get(at + 1)?.clone())),
    }
}

/// Whether the user gives an option himself.
fn given(args: &[OsString], key: &str) -> bool {
    let long = format!("--{key}");
    args.iter().any(|arg| {
        let arg = arg.to_string_lossy();
        arg.split('=').next() == Some(&long) || (key == "output" && arg == "-o")
    })
}

/// The options of a file with their values; none for a switch that is on.
fn read(path: &Path) -> anyhow::Result<Vec<(String, Vec<String>)>> {
    let mut text = String::new();
    File::open(path)?.take(LIMIT + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LIMIT {
        bail!("it has more than {LIMIT} bytes");
    }
    let parsed: Value = match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => toml::from_str(&text)?,
        Some("yaml" | "yml") => serde_saphyr::from_str(&text)?,
        _ => bail!("it must end in .toml, .yaml or .yml"),
    };
    let mut flat = Vec::new();
    flatten(String::new(), &parsed, &mut flat)?;
    translate(flat)
}

fn flatten(prefix: String, value: &Value, flat: &mut Vec<(String, Vec<String>)>) -> anyhow::Result<()> {
    let element = |value: &Value| match value {
        Value::Object(table) => corpus(table).with_context(|| prefix.clone()),
        value => scalar(value).with_context(|| prefix.clone()),
    };
    match value {
        Value::Object(entries) => entries.iter().try_for_each(|(key, value)| {
            let key = key.replace('_', "-");
            flatten(if prefix.is_empty() { key } else { format!("{prefix}.{key}") }, value, flat)
        }),
        Value::Null => Ok(()),
        Value::Array(values) => {
            let values = values.iter().map(element).collect::<anyhow::Result<_>>()?;
            flat.push((prefix, values));
            Ok(())
        }
        value => {
            let value = element(value)?;
            flat.push((prefix, vec![value]));
            Ok(())
        }
    }
}

fn scalar(value: &Value) -> anyhow::Result<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(on) => Ok(on.to_string()),
        _ => bail!("expected a string, a number, true or false, or a list of them"),
    }
}

/// A corpus with its options, given as a table, in the form that the command line has for it: `FILE:types=A,B:weight=2`.
fn corpus(table: &Map<String, Value>) -> anyhow::Result<String> {
    let file = table.get("file").context("a corpus given as a table needs a key \"file\"")?;
    let mut argument = scalar(file)?;
    for (key, value) in table.iter().filter(|(key, _)| *key != "file") {
        let value = match value {
            Value::Array(names) => names.iter().map(name).collect::<anyhow::Result<Vec<_>>>()?.join(","),
            Value::Object(pairs) => {
                let pair =
                    |(from, to): (&String, &Value)| Ok(format!("{}={}", name(&from.as_str().into())?, name(to)?));
                pairs.iter().map(pair).collect::<anyhow::Result<Vec<_>>>()?.join(",")
            }
            value => scalar(value)?,
        };
        argument += &format!(":{key}={value}");
    }
    Ok(argument)
}

/// A name in a list, where commas, colons and equals signs mean something else.
fn name(value: &Value) -> anyhow::Result<String> {
    let name = scalar(value)?;
    if name.contains([',', ':', '=']) {
        bail!("{name:?}: a type or category cannot contain a comma, a colon or an equals sign here");
    }
    Ok(name)
}

/// Our names for foreign ones, and switches without their `true`.
fn translate(flat: Vec<(String, Vec<String>)>) -> anyhow::Result<Vec<(String, Vec<String>)>> {
    let mut settings: Vec<(String, Vec<String>)> = Vec::new();
    let mut accumulated = 1;
    for (key, values) in flat {
        let one = |name: &str, value: &str| (name.to_owned(), vec![value.to_owned()]);
        let on = values == ["true"];
        match key.as_str() {
            WARMUP => settings.push(("warmup".to_owned(), values)),
            // Both count micro-batches that make a step; here a step's batch is named, and its parts.
            name if ACCUMULATION.contains(&name) => {
                accumulated = values
                    .first()
                    .and_then(|steps| steps.parse::<usize>().ok())
                    .filter(|steps| *steps > 0)
                    .with_context(|| format!("{key}: expected a whole number above 0"))?;
                settings.push(one("accumulation", &accumulated.to_string()));
            }
            ALL_TOKENS => settings.push(one("label-tokens", if on { "all" } else { "first" })),
            BALANCING if values == ["weighted_loss"] => settings.push(one("class-weights", "balanced")),
            _ => {
                let ours = ALIASES.iter().find(|(foreign, _)| *foreign == key).map_or(key.as_str(), |(_, ours)| ours);
                match values.as_slice() {
                    [value] if value == "false" => {}
                    [value] if value == "true" => settings.push((ours.to_owned(), Vec::new())),
                    _ => settings.push((ours.to_owned(), values)),
                }
            }
        }
    }
    for (_, values) in settings.iter_mut().filter(|(key, _)| accumulated > 1 && key == "batch-size") {
        for value in values.iter_mut() {
            if let Ok(size) = value.parse::<usize>() {
                let whole = size.checked_mul(accumulated).context("batch size times accumulation is too large")?;
                *value = whole.to_string();
            }
        }
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(name: &str, text: &str, command_line: &str) -> anyhow::Result<String> {
        let path = std::env::temp_dir().join(format!("pubtag-settings-{}-{name}", std::process::id()));
        std::fs::write(&path, text).expect("a temporary file");
        let line = format!("pubtag train --config {} {command_line}", path.display());
        let options = [
            "train",
            "dev",
            "base",
            "output",
            "epochs",
            "batch-size",
            "accumulation",
            "learning-rate",
            "warmup",
            "clip-norm",
            "label-tokens",
            "class-weights",
            "overwrite",
        ];
        let options = options.map(str::to_owned);
        let all = expand(line.split_whitespace().map(OsString::from).collect(), &options);
        std::fs::remove_file(&path).expect("just written");
        let all: Vec<String> = all?.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
        let own = all.iter().position(|arg| arg == OPTION).expect("the option stays");
        Ok(all[2..own].join(" "))
    }

    #[test]
    fn own_names_in_toml_and_the_command_line_wins() {
        let text = "train = ['a.tsv', 'b.tsv']\nepochs = 3\nlearning_rate = 1e-4\noverwrite = true\n";
        let found = expanded("own.toml", text, "--epochs 7").expect("valid");
        let mut options: Vec<_> = found.split("--").map(str::trim).filter(|option| !option.is_empty()).collect();
        options.sort_unstable();
        assert_eq!(options, ["learning-rate 0.0001", "overwrite", "train a.tsv b.tsv"]);
    }

    #[test]
    fn names_of_run_ner() {
        let text = "model_name_or_path: base\ntrain_file: t.jsonl\nper_device_train_batch_size: 8\n\
                    gradient_accumulation_steps: 2\nlabel_all_tokens: true\nwarmup_ratio: 0.1\noverwrite_output_dir: false\n";
        let found = expanded("hf.yaml", text, "").expect("valid");
        let mut words: Vec<_> = found.split(" --").map(|part| part.trim_start_matches('-')).collect();
        words.sort_unstable();
        let expected =
            ["accumulation 2", "base base", "batch-size 16", "label-tokens all", "train t.jsonl", "warmup 0.1"];
        assert_eq!(words, expected);
    }

    #[test]
    fn a_corpus_with_options_is_a_table() {
        let text = "epochs = 3\n[[train]]\nfile = 'a.txt'\ntypes = ['Disease', 'Gene']\nweight = 2\n\
                    [[train]]\nfile = 'b.txt'\nmap = { Modifier = 'Disease' }\n";
        let found = expanded("corpora.toml", text, "").expect("valid");
        assert!(found.contains("--train a.txt:types=Disease,Gene:weight=2 b.txt:map=Modifier=Disease"), "{found}");
        let yaml = "dev:\n- c.txt\n- file: d.txt\n  types: [Gene]\n";
        assert_eq!(expanded("corpora.yaml", yaml, "").expect("valid"), "--dev c.txt d.txt:types=Gene");

        let refused = expanded("nameless.toml", "[[train]]\nweight = 2\n", "").expect_err("no file");
        assert!(
            format!("{refused:#}").contains("train: a corpus given as a table needs a key \"file\""),
            "{refused:#}"
        );
        let refused = expanded("comma.toml", "[[train]]\nfile = 'a'\ntypes = ['A,B']\n", "").expect_err("a comma");
        assert!(format!("{refused:#}").contains("\"A,B\""), "{refused:#}");
    }

    #[test]
    fn names_of_nemo() {
        let text = "trainer:\n  max_epochs: 5\n  gradient_clip_val: 1.0\nmodel:\n  dataset:\n    class_balancing: weighted_loss\n  \
                    optim:\n    lr: 5e-5\n    sched:\n      warmup_ratio: 0.1\n";
        let found = expanded("nemo.yml", text, "").expect("valid");
        for part in
            ["--epochs 5", "--clip-norm 1.0", "--class-weights balanced", "--learning-rate 0.00005", "--warmup 0.1"]
        {
            assert!(found.contains(part), "{part} in {found}");
        }
    }

    #[test]
    fn a_hostile_file_is_refused_and_takes_no_memory() {
        let deep = format!("epochs: {}", "[".repeat(500_000));
        let deep_toml = format!("epochs = {}", "[".repeat(500_000));
        let laughs: String = std::iter::once("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned())
            .chain((1..12).map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(", "))))
            .collect();
        let large = "gradient_accumulation_steps: 18446744073709551615\nbatch_size: 2\n";
        for (name, text) in [
            ("deep.yaml", deep.as_str()),
            ("deep.toml", deep_toml.as_str()),
            ("laughs.yaml", laughs.as_str()),
            ("large.yaml", large),
        ] {
            assert!(expanded(name, text, "").is_err(), "{name}");
        }
        let endless = format!("epochs = 3 # {}", "x".repeat(2 << 20));
        let refused = expanded("endless.toml", &endless, "").expect_err("it is too large");
        assert!(format!("{refused:#}").contains("more than 1048576 bytes"), "{refused:#}");
    }

    #[test]
    fn what_is_no_option_is_refused_by_name() {
        let refused = expanded("typo.toml", "epoch = 3\n", "").expect_err("a typo");
        assert!(format!("{refused:#}").contains("\"epoch\" is no option"), "{refused:#}");
        let refused = expanded("broken.toml", "epochs = \n", "").expect_err("no TOML");
        assert!(format!("{refused:#}").contains("line 1"), "{refused:#}");
    }
}
