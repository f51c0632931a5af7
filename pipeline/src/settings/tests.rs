use clap::{Args, Command, FromArgMatches};
use serde_json::json;

use super::*;

/// Arguments and their settings, with a file and a command line.
fn merged<A: Args + Configurable>(name: &str, text: &str, command_line: &str) -> Result<(A, Vec<Effective>), String> {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("a temporary file");
    let line = format!("test --config {} {command_line}", path.display());
    let matches = A::augment_args(Command::new("test")).get_matches_from(line.split_whitespace());
    let mut args = A::from_arg_matches(&matches).expect("the command line is valid");
    let settings = merge(&mut args, &matches).map_err(|failure| format!("{:#}", failure.error))?;
    Ok((args, settings))
}

fn train(name: &str, text: &str, command_line: &str) -> Result<TrainArgs, String> {
    merged(name, text, command_line).map(|(args, _)| args)
}

#[test]
fn the_command_line_wins_over_the_file_and_the_file_over_defaults() {
    let text = "train = ['a.tsv', 'b.tsv']\nepochs = 3\nlearning_rate = 1e-4\noverwrite = true\nbase = 'in'\n";
    let (args, settings) = merged::<TrainArgs>("own.toml", text, "--epochs 7 --base out").expect("valid");
    let training = &args.training;
    assert_eq!(
        (training.epochs.get(), training.learning_rate.0, training.overwrite, training.batch_size.get()),
        (7, 1e-4, true, 16)
    );
    assert_eq!(args.train.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a.tsv", "b.tsv"]);
    let source = |name: &str| {
        let setting = settings.iter().find(|setting| setting.name == name).expect("every setting is listed");
        (setting.value.clone(), setting.source.to_string().rsplit('/').next().unwrap_or_default().to_owned())
    };
    assert_eq!(source("epochs"), (json!(7), "command line".to_owned()));
    assert_eq!(source("base"), (json!("out"), "command line".to_owned()));
    assert_eq!(source("learning-rate"), (json!(1e-4), "own.toml".to_owned()));
    assert_eq!(source("batch-size"), (json!(16), "default".to_owned()));
    assert_eq!(source("weight-decay"), (json!(0.01), "default".to_owned()));
    assert_eq!(source("patience"), (json!(null), "default".to_owned()));
}

#[test]
fn a_run_has_settings_of_every_type() {
    let text = "inputs: [a.xml, b.xml]\noutput: out\nprecision: int8\ntoken_budget: 512\nmax-rejects: 1%\ngrace: 2m\n\
                context: document\ninput_format: tsv\nthreads: 3\ndevice: cuda:0,1\nabbreviations: \"off\"\n";
    let (args, _) = merged::<RunArgs>("run.yaml", text, "--device cpu").expect("valid");
    assert_eq!(args.inputs, ["a.xml", "b.xml"]);
    let args = args.options;
    assert_eq!(args.device.precision, crate::cli::Precision::Int8);
    assert_eq!(args.device.device, crate::cli::DeviceChoice::Cpu);
    assert_eq!(args.device.token_budget.map(std::num::NonZeroUsize::get), Some(512));
    assert_eq!((args.max_rejects, args.grace.as_secs()), (crate::cli::Tolerance::Share(0.01), 120));
    assert_eq!(args.abbreviations, crate::cli::Abbreviations::Off);
}

#[test]
fn shown_settings_are_a_valid_settings_file() {
    let text = "train = ['a.tsv']\nepochs = 3\n";
    let (_, settings) = merged::<TrainArgs>("own.toml", text, "--seed 5").expect("valid");
    let shown: serde_json::Map<_, _> = settings.iter().map(|one| (one.name.clone(), one.value.clone())).collect();
    let text = serde_json::to_string(&shown).expect("JSON is YAML");
    let (_, again) = merged::<TrainArgs>("shown.yaml", &text, "").expect("valid");
    let values = |settings: &[Effective]| settings.iter().map(|one| one.value.clone()).collect::<Vec<_>>();
    assert_eq!(values(&settings), values(&again));
}

#[test]
fn names_of_run_ner_are_understood() {
    let text = "model_name_or_path: base\ntrain_file: t.jsonl\nper_device_train_batch_size: 8\n\
                gradient_accumulation_steps: 2\nlabel_all_tokens: true\nwarmup_ratio: 0.2\noverwrite_output_dir: false\n";
    let args = train("hf.yaml", text, "").expect("valid");
    assert_eq!(
        (
            args.training.batch_size.get(),
            args.training.accumulation.get(),
            args.training.warmup.0,
            args.training.overwrite
        ),
        (16, 2, 0.2, false)
    );
    assert_eq!(args.label_tokens, crate::cli::LabelTokens::All);
    assert_eq!((args.base, args.train[0].to_string()), (Some("base".into()), "t.jsonl".to_owned()));
}

#[test]
fn names_of_nemo_are_understood() {
    let text = "trainer:\n  max_epochs: 5\n  gradient_clip_val: 2.0\nmodel:\n  dataset:\n    class_balancing: weighted_loss\n  \
                optim:\n    lr: 5e-5\n    sched:\n      warmup_ratio: 0.2\n";
    let args = train("nemo.yml", text, "").expect("valid");
    assert_eq!(
        (args.training.epochs.get(), args.training.clip_norm.0, args.training.learning_rate.0, args.training.warmup.0),
        (5, 2.0, 5e-5, 0.2)
    );
    assert_eq!(args.class_weights, crate::cli::ClassWeights::Balanced);
    let refused = train("balance.yml", "model:\n  dataset:\n    class_balancing: other\n", "").expect_err("unknown");
    assert!(refused.contains("expected weighted_loss"), "{refused}");
}

#[test]
fn a_corpus_with_options_is_a_table() {
    let text = "epochs = 3\n[[train]]\nfile = 'a.txt'\ntypes = ['Disease', 'Gene']\nweight = 2\n\
                [[train]]\nfile = 'b.txt'\nmap = { Modifier = 'Disease' }\n";
    let names =
        |corpora: &[pubtag_corpus::CorpusSpec]| -> Vec<String> { corpora.iter().map(ToString::to_string).collect() };
    let args = train("corpora.toml", text, "").expect("valid");
    assert_eq!(names(&args.train), ["a.txt:types=Disease,Gene:weight=2", "b.txt:map=Modifier=Disease"]);
    let args = train("corpora.yaml", "dev:\n- c.txt\n- file: d.txt\n  types: [Gene]\n", "").expect("valid");
    assert_eq!(names(&args.dev), ["c.txt", "d.txt:types=Gene"]);

    let refused = train("nameless.toml", "[[train]]\nweight = 2\n", "").expect_err("no file");
    assert!(refused.contains("train: a corpus table needs the key `file`"), "{refused}");
    let refused = train("comma.toml", "[[train]]\nfile = 'a'\ntypes = ['A,B']\n", "").expect_err("a comma");
    assert!(refused.contains("`A,B`"), "{refused}");
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
        assert!(train(name, text, "").is_err(), "{name}");
    }
    let endless = format!("epochs = 3 # {}", "x".repeat(2 << 20));
    let refused = train("endless.toml", &endless, "").expect_err("it is too large");
    assert!(refused.contains("larger than 1048576 bytes"), "{refused}");
}

/// The cache that a run would use: `no-cache` or a place.
fn cache(text: &str, command_line: &str) -> Result<String, String> {
    let (args, settings) = merged::<RunArgs>("run.toml", text, command_line)?;
    let shown = settings.iter().find(|setting| setting.name == "cache").expect("every setting is listed");
    let cache = args.options.cache.map(|cache| cache.to_string());
    assert_eq!(shown.value, json!(cache));
    Ok(if args.options.no_cache { "no-cache".to_owned() } else { cache.unwrap_or_default() })
}

#[test]
fn a_cache_on_the_command_line_replaces_what_the_file_says_of_caches() {
    assert_eq!(cache("no-cache = true\n", "--cache there").as_deref(), Ok("there"));
    assert_eq!(cache("cache = 'there'\n", "--no-cache").as_deref(), Ok("no-cache"));
    assert_eq!(cache("cache = 'there'\nno-cache = false\n", "").as_deref(), Ok("there"));
    let refused = cache("cache = 'there'\nno-cache = true\n", "").expect_err("which of them?");
    assert!(refused.contains("`cache` and `no-cache` exclude each other"), "{refused}");
}

#[cfg(unix)]
#[test]
fn a_path_may_be_of_any_bytes() {
    use std::os::unix::ffi::OsStringExt;
    let path = std::ffi::OsString::from_vec(b"nam\xffe".to_vec());
    let line = ["test".into(), "--model".into(), path.clone()];
    let matches = RunArgs::augment_args(Command::new("test")).get_matches_from::<_, std::ffi::OsString>(line);
    let mut args = RunArgs::from_arg_matches(&matches).expect("the command line is valid");
    let settings = merge(&mut args, &matches).expect("nothing is wrong");
    assert_eq!(args.options.model, Some(PathBuf::from(path)));
    assert!(settings.iter().any(|setting| setting.value == json!("nam\u{fffd}e")), "{settings:?}");
}

#[test]
fn unknown_and_invalid_settings_are_refused_with_a_hint() {
    for (name, text, hint) in [
        ("typo.toml", "epoch = 3\n", "unknown setting `epoch`; did you mean `epochs`?"),
        ("off.toml", "overwite = false\n", "did you mean `overwrite`?"),
        ("theirs.yaml", "num_train_epoch: 3\n", "did you mean `num-train-epochs`?"),
        ("far.toml", "color = 'red'\n", "unknown setting `color`; expected one of train, dev, unlabelled"),
        ("twice.yaml", "epochs: 3\nnum_train_epochs: 4\n", "`epochs` is set twice"),
        ("twice.yml", "epochs: 3\nepochs: 4\n", "line 2: epochs is set twice"),
        ("word.toml", "epochs = 'many'\n", "`epochs`: invalid value `many`: not a whole number"),
        ("warm.toml", "warmup = 2\n", "`warmup`: invalid value `2`: expected a number from 0 to 1"),
        (
            "nan.toml",
            "replace-mentions = 'nan'\n",
            "`replace-mentions`: invalid value `nan`: expected a number from 0 to 1",
        ),
        ("zero.toml", "epochs = 0\n", "`epochs`: invalid value `0`: must be at least 1"),
        ("switch.toml", "overwrite = 'yes'\n", "`overwrite`: invalid value `yes`: expected true or false"),
        ("none.toml", "labels = 'none'\n", "`labels`: invalid value `none`: expected auto, category"),
        ("list.toml", "seed = [1, 2]\n", "`seed`: expected a single value, not a list"),
        ("broken.toml", "epochs = \n", "line 1"),
        ("settings.json", "{}", "expected the extension .toml, .yaml or .yml"),
    ] {
        let refused = train(name, text, "").expect_err(name);
        assert!(refused.contains(hint) && refused.contains(name), "{name}: {refused}");
    }
    assert!(merged::<RunArgs>("run.toml", "train_file = 'x'\n", "").is_err(), "names of training are not for runs");
}
