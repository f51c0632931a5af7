//! `--device cuda` without a card, executed: the real compiler of kernels, and a driver that runs them on the CPU.
//!
//! `tests/run --cuda-compute` sets it up; without it these tests are skipped. Each takes minutes. What is compared is what
//! `pubtag selftest` compares, the logits of a card with those of the CPU, and the rows of a run. The driver adds
//! what a card does not show: accesses outside of a tensor, reads of what nobody has written, races, deadlocks
//! (`tests/cuda-stub/README.md`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Instant;

use pubtag_tests::{Outcome, PubTag, article_set, fixture, read_table, sample_article, skipped, tell, tiny_model};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::Value;
use tempfile::TempDir;

use crate::training::{corpus, metrics};

/// Compute capabilities whose kernels are executed.
const CARDS: [&str; 2] = ["80", "90"];
const PRECISIONS: [&str; 3] = ["f32", "f16", "bf16"];

/// The least that shapes allow: an interpreter takes its time for every token.
const TOKENS: &str = "1024";

/// Bytes of a card that has little memory: the allocator takes pages whose size goes with it.
const SMALL_CARD: &str = "2000000000";

/// What `tests/run --cuda-compute` has made.
struct Rig {
    program: String,
    toolkit: PathBuf,
    /// Holds the driver under its name.
    libraries: TempDir,
    /// The kernels of all tests but those that force some.
    cache: TempDir,
}

impl Rig {
    /// The one of this process, or `None` after saying so loudly.
    fn find(test: &str) -> Option<&'static Self> {
        static RIG: OnceLock<Option<Rig>> = OnceLock::new();
        let rig = RIG.get_or_init(Self::new).as_ref();
        if rig.is_none() {
            skipped(test, "driver that computes (tests/run --cuda-compute sets it up)");
        }
        rig
    }

    fn new() -> Option<Self> {
        let named = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let (driver, toolkit) = (named("PUBTAG_CUDA_COMPUTE_STUB")?, named("PUBTAG_CUDA_TOOLKIT")?);
        let program = std::env::var("PUBTAG_CUDA_COMPUTE_PROGRAM").ok()?;
        let libraries = tempfile::tempdir().unwrap();
        fs::copy(driver, libraries.path().join("libcuda.so.1")).unwrap();
        Some(Self { program, toolkit, libraries, cache: tempfile::tempdir().unwrap() })
    }

    /// A call on a card of a compute capability.
    fn call(&self, command: &str, card: &str) -> PubTag {
        let libraries = format!("{}:{}", self.libraries.path().display(), self.toolkit.join("lib64").display());
        PubTag::new(&self.program, [command, "--device", "cuda"])
            .env("CUDA_PATH", self.toolkit.to_str().unwrap())
            .env("LD_LIBRARY_PATH", &libraries)
            .env("STUB_SM", card)
            .env("STUB_MEMORY", SMALL_CARD)
    }

    fn case<'a>(&'a self, model: &'a Path, card: &'a str, precision: &'a str) -> Case<'a> {
        Case { rig: self, model, card, precision, cache: self.cache.path() }
    }
}

/// A model on a card in a precision.
#[derive(Clone, Copy)]
struct Case<'a> {
    rig: &'a Rig,
    model: &'a Path,
    card: &'a str,
    precision: &'a str,
    /// Compiled kernels, and the autotuner's choices.
    cache: &'a Path,
}

impl Case<'_> {
    fn call(&self, command: &str) -> PubTag {
        let call = self.rig.call(command, self.card).arg("--model").arg(self.model).arg("--cache-dir").arg(self.cache);
        call.arg("--token-budget").arg(TOKENS)
    }

    /// Compiles the kernels and has the autotuner choose, without executing any: what is chosen then is arbitrary.
    fn tune(&self) {
        let call = self.call("warmup").arg("--unchecked-device").arg("--precision").arg(self.precision);
        drop(call.succeed());
    }

    /// Executes every shape, and compares its logits with those of the CPU, as every start does. Returns the largest
    /// difference, relative to the largest logit.
    fn check(&self) -> f64 {
        let (outcome, events) = logged(self.executed());
        assert_executed(&self.to_string(), &outcome, &events);
        let difference = outcome.stderr.split("difference=").nth(1).and_then(|rest| rest.split(' ').next());
        difference.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{self}: {}", outcome.stderr))
    }

    /// A start with its comparison with the CPU, executed.
    fn executed(&self) -> PubTag {
        self.call("warmup").arg("--precision").arg(self.precision).env("STUB_COMPUTE", "1")
    }

    /// The selftest of its precision, executed.
    fn selftest(&self) -> PubTag {
        self.call("selftest").arg("--only-precision").arg(self.precision).env("STUB_COMPUTE", "1")
    }
}

impl fmt::Display for Case<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let model = self.model.file_name().unwrap_or_default().to_string_lossy();
        write!(f, "{model}, sm_{}, {}", self.card, self.precision)
    }
}

/// Runs a call to its end; what the driver has seen meanwhile, a line for each event.
fn logged(call: PubTag) -> (Outcome, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("driver.log");
    let outcome = call.env("STUB_LOG", log.to_str().unwrap()).end();
    (outcome, fs::read_to_string(log).unwrap_or_default().lines().map(str::to_owned).collect())
}

/// The number of events of a kind, which is a line's first word.
fn count(events: &[String], kind: &str) -> usize {
    events.iter().filter(|event| event.split(' ').next() == Some(kind)).count()
}

/// The call succeeded, and the driver has found nothing wrong with what it executed.
fn assert_executed(what: &str, outcome: &Outcome, events: &[String]) {
    let bad: Vec<_> = events.iter().filter(|event| event.starts_with("bad ")).collect();
    assert!(bad.is_empty(), "{what}: {bad:#?}");
    assert_eq!(outcome.code, Some(0), "{what}:\n{}{}", outcome.stdout, outcome.stderr);
    assert!(count(events, "computed") > 100, "{what}: {} launches executed", count(events, "computed"));
}

#[test]
fn logits_of_every_architecture_are_those_of_the_cpu() {
    let Some(rig) = Rig::find("logits_of_every_architecture_are_those_of_the_cpu") else { return };
    let folder = tempfile::tempdir().unwrap();
    let fixtures = ["tiny-bert", "tiny-roberta", "tiny-distilbert", "tiny-electra", "tiny-mpnet"];
    let models = fixtures.into_iter().map(|name| copy(name, folder.path().join(name)));
    for model in &models.chain([one_head(folder.path(), 192)]).collect::<Vec<_>>() {
        for (card, precision) in cards() {
            let case = rig.case(model, card, precision);
            case.tune();
            tell(&format!("{case}: {:.1e}\n", case.check()));
        }
    }
}

#[test]
fn the_selftest_agrees() {
    let Some(rig) = Rig::find("the_selftest_agrees") else { return };
    let model = tiny_model();
    let case = rig.case(&model, "80", "f32");
    case.tune();
    let (outcome, events) = logged(case.selftest());
    assert_executed("selftest", &outcome, &events);
    let agreed = outcome.stdout.lines().filter(|line| line.ends_with("| ok |")).count();
    assert_eq!(agreed, 5, "{}", outcome.stdout);
}

/// Every compute capability with every precision.
fn cards() -> impl Iterator<Item = (&'static str, &'static str)> {
    CARDS.into_iter().flat_map(|card| PRECISIONS.map(|precision| (card, precision)))
}

/// Copies a fixture, with the tokenizer of the tiny model.
fn copy(name: &str, model: PathBuf) -> PathBuf {
    fs::create_dir(&model).unwrap();
    for source in [tiny_model(), fixture(name)] {
        copy_files(&source, &model);
    }
    model
}

fn copy_files(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// Changes the settings of a copy.
fn configure(model: &Path, settings: &[(&str, Value)]) {
    let path = model.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for (name, value) in settings {
        config[*name] = value.clone();
    }
    fs::write(path, config.to_string()).unwrap();
}

/// The tiny model with one head of 32 columns, as large models have, and more positions, so that rows have several lengths.
fn one_head(folder: &Path, positions: usize) -> PathBuf {
    let model = copy("tiny-bert", folder.join(format!("one-head-{positions}")));
    configure(&model, &[("num_attention_heads", 1.into())]);
    with_positions(&model, positions);
    model
}

/// Cuts the table of positions, or repeats it.
fn with_positions(model: &Path, positions: usize) {
    configure(model, &[("max_position_embeddings", positions.into())]);
    rewrite(model, |name, tensor| {
        let (mut shape, mut data) = (tensor.shape().to_vec(), tensor.data().to_vec());
        if name == "bert.embeddings.position_embeddings.weight" {
            let row = data.len() / shape[0];
            data = data.repeat(positions.div_ceil(shape[0]));
            data.truncate(row * positions);
            shape[0] = positions;
        }
        Some((shape, data))
    });
}

/// Keeps the first layers.
fn with_layers(model: &Path, layers: usize) {
    configure(model, &[("num_hidden_layers", layers.into())]);
    let number = |name: &str| name.strip_prefix("bert.encoder.layer.")?.split('.').next()?.parse().ok();
    rewrite(model, |name, tensor| {
        let kept = number(name).is_none_or(|number: usize| number < layers);
        kept.then(|| (tensor.shape().to_vec(), tensor.data().to_vec()))
    });
}

/// Writes the tensors of a model again, each as `change` gives its shape and bytes, without those for which it gives none.
fn rewrite(model: &Path, change: impl Fn(&str, &TensorView<'_>) -> Option<(Vec<usize>, Vec<u8>)>) {
    let path = model.join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let changed = tensors.iter().filter_map(|(name, tensor)| Some((name, tensor.dtype(), change(name, &tensor)?)));
    let changed: Vec<_> = changed.collect();
    let view = |dtype, shape: &Vec<usize>, data| TensorView::new(dtype, shape.clone(), data).unwrap();
    let views = changed.iter().map(|(name, dtype, (shape, data))| (*name, view(*dtype, shape, data)));
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn rows_of_a_run_are_those_of_the_cpu() {
    let Some(rig) = Rig::find("rows_of_a_run_are_those_of_the_cpu") else { return };
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.xml");
    fs::write(&input, article_set(&(1..=20).map(sample_article).collect::<Vec<_>>())).unwrap();
    let (on_cpu, on_cuda) = (folder.path().join("cpu"), folder.path().join("cuda"));
    PubTag::run(crate::PROGRAM, &[input.as_path()], &on_cpu).succeed();
    let model = tiny_model();
    let case = rig.case(&model, "80", "f32");
    case.tune();
    // The check at the start is left in: it is one more comparison.
    let call = case.call("run").arg("--output").arg(&on_cuda).arg(&input);
    let (outcome, events) = logged(call.env("STUB_COMPUTE", "1"));
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(count(&events, "bad"), 0, "{events:?}");
    // Scores and the model's id may differ. Factors are rounded to TF32, so a tag that two labels tie for may too.
    let mentions = |output: &Path| -> BTreeSet<String> {
        let keep = ["doc_id=", "start_char=", "end_char=", "label=", "mention="];
        let kept = |row: &String| {
            let fields = row.split('\u{1f}').filter(|field| keep.iter().any(|name| field.starts_with(name)));
            fields.collect::<Vec<_>>().join(" ")
        };
        read_table(output, "annotations").iter().map(kept).collect()
    };
    let (expected, found) = (mentions(&on_cpu), mentions(&on_cuda));
    assert!(!expected.is_empty());
    let different: Vec<_> = expected.symmetric_difference(&found).collect();
    assert!(different.len() * 50 <= expected.len(), "{} mentions: {different:#?}", expected.len());
}

/// A file of the autotuner: one JSON object after the other, one for each key.
fn read_choices(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap().replace('\0', "\n");
    serde_json::Deserializer::from_str(&text).into_iter().collect::<Result<_, _>>().unwrap()
}

/// The candidates of a key that could be launched, by their numbers.
fn candidates(choice: &Value) -> Vec<(u64, String)> {
    let results = choice["value"]["results"].as_array().unwrap();
    let mut found: Vec<(u64, String)> = results
        .iter()
        .map(|result| &result["outcome"]["Ok"])
        .filter_map(|result| Some((result["index"].as_u64()?, result["name"].as_str().unwrap_or_default().to_owned())))
        .collect();
    found.sort();
    found
}

/// Every file of a folder tree.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The files in which the autotuner keeps its choices.
fn choice_files(cache: &Path) -> Vec<PathBuf> {
    let is_choice = |path: &PathBuf| {
        path.components().any(|part| part.as_os_str() == "autotune") && path.to_string_lossy().ends_with(".log")
    };
    files(cache).into_iter().filter(is_choice).collect()
}

/// All that the autotuner of a cache chose.
fn choices(cache: &Path) -> Vec<Value> {
    choice_files(cache).iter().flat_map(|path| read_choices(path)).collect()
}

/// Copies a cache and has every key choose one of its candidates.
fn force(cache: &Path, choose: impl Fn(&[(u64, String)]) -> u64) -> TempDir {
    let forced = tempfile::tempdir().unwrap();
    for path in files(cache) {
        let to = forced.path().join(path.strip_prefix(cache).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&path, &to).unwrap();
    }
    for path in choice_files(forced.path()) {
        let mut text = String::new();
        for mut choice in read_choices(&path) {
            choice["value"]["fastest_index"] = Value::from(choose(&candidates(&choice)));
            text += &format!("{choice}\n");
        }
        fs::write(&path, text).unwrap();
    }
    forced
}

/// The number of a key's candidate of a round.
fn of_round(candidates: &[(u64, String)], round: usize) -> u64 {
    candidates[round % candidates.len()].0
}

/// The keys whose choice is not the candidate of this round: the autotuner did not take what it was given.
fn disobedient(cache: &Path, round: usize) -> Vec<String> {
    let forced = |choice: &Value| choice["value"]["fastest_index"] == of_round(&candidates(choice), round);
    choices(cache).iter().filter(|choice| !forced(choice)).map(|choice| choice["key"].to_string()).collect()
}

/// The autotuner goes by time, so what a card will choose is not known: each candidate has its round.
#[test]
fn every_candidate_of_the_autotuner_computes_the_same() {
    let Some(rig) = Rig::find("every_candidate_of_the_autotuner_computes_the_same") else { return };
    let folder = tempfile::tempdir().unwrap();
    let others = ["tiny-roberta", "tiny-distilbert", "tiny-electra", "tiny-mpnet"];
    let others = others.into_iter().map(|name| copy(name, folder.path().join(name)));
    let models: Vec<_> = [one_head(folder.path(), 64)].into_iter().chain(others).collect();
    tell(TABLE_OF_CANDIDATES);
    for (card, precision) in cards() {
        let mut done = BTreeSet::new();
        for model in &models {
            tell(&force_every_candidate(rig.case(model, card, precision), &mut done));
        }
    }
}

/// Which candidates can be launched, and which of them read beyond a matrix, depends on its sizes. The layers of a model
/// have the same ones.
#[test]
fn every_candidate_in_the_sizes_of_the_bundled_model_computes_the_same() {
    let Some(rig) = Rig::find("every_candidate_in_the_sizes_of_the_bundled_model_computes_the_same") else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = bundled(folder.path());
    with_layers(&model, 1);
    tell(TABLE_OF_CANDIDATES);
    for (card, precision) in cards() {
        tell(&force_every_candidate(rig.case(&model, card, precision), &mut BTreeSet::new()));
    }
}

const TABLE_OF_CANDIDATES: &str =
    "| model, card, precision | keys | candidates | rounds | largest difference |\n|---|---|---|---|---|\n";

/// Checks a case once for each candidate of the key that has most of them; returns a row of the table.
///
/// Keys already `done` with another model get no rounds of their own, since their sizes are the same. The table counts the
/// others.
fn force_every_candidate(case: Case<'_>, done: &mut BTreeSet<String>) -> String {
    let cache = tempfile::tempdir().unwrap();
    Case { cache: cache.path(), ..case }.tune();
    let choices = choices(cache.path());
    assert!(
        choices.iter().any(|choice| candidates(choice).len() > 1),
        "{case}: the autotuner had nothing to choose from"
    );
    let new = choices.iter().filter(|choice| done.insert(choice["key"].to_string()));
    let counts: Vec<usize> = new.map(|choice| candidates(choice).len()).collect();
    // A model without new keys is compared once.
    let rounds = counts.iter().copied().max().unwrap_or(1);
    let mut largest = 0.0_f64;
    for round in 0..rounds {
        let forced = force(cache.path(), |candidates| of_round(candidates, round));
        largest = largest.max(Case { cache: forced.path(), ..case }.check());
        assert_eq!(disobedient(forced.path(), round), Vec::<String>::new(), "{case}, round {round}");
    }
    let (keys, all) = (counts.len(), counts.iter().sum::<usize>());
    format!("| {case} | {keys} | {all} | {rounds} | {largest:.1e} |\n")
}

/// Six layers of width 384 with twelve heads, in a block of sequences of several lengths. With tensor cores, because products
/// without them take too long in an interpreter.
#[test]
fn the_bundled_model_computes_what_it_does_on_the_cpu() {
    let Some(rig) = Rig::find("the_bundled_model_computes_what_it_does_on_the_cpu") else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = bundled(folder.path());
    for precision in ["f32", "f16"] {
        let cache = tempfile::tempdir().unwrap();
        let case = Case { cache: cache.path(), ..rig.case(&model, "80", precision) };
        case.tune();
        let forced = force(cache.path(), on_tensor_cores);
        let started = Instant::now();
        let difference = Case { cache: forced.path(), ..case }.check();
        tell(&format!("{case}: {difference:.1e} in {} s\n", started.elapsed().as_secs()));
    }
}

/// A copy of the bundled model, for texts of up to 64 tokens.
fn bundled(folder: &Path) -> PathBuf {
    let model = folder.join("pubtag-disease");
    fs::create_dir(&model).unwrap();
    copy_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/models/pubtag-disease"), &model);
    with_positions(&model, 64);
    model
}

/// The number of a key's first candidate that uses tensor cores, or of its first.
fn on_tensor_cores(candidates: &[(u64, String)]) -> u64 {
    let used = |(_, name): &&(u64, String)| name.to_lowercase().contains("mma");
    candidates.iter().find(used).unwrap_or(&candidates[0]).0
}

/// How far a figure of training may be from the CPU's, relative to it.
const CLOSE: f64 = 0.01;

/// Backward passes have kernels that tagging has not.
#[test]
fn steps_of_training_are_those_of_the_cpu() {
    let Some(rig) = Rig::find("steps_of_training_are_those_of_the_cpu") else { return };
    let folder = tempfile::tempdir().unwrap();
    let base = copy("tiny-bert", folder.path().join("base"));
    // Each device drops others.
    configure(&base, &[("hidden_dropout_prob", 0.into()), ("attention_probs_dropout_prob", 0.into())]);
    let text = folder.path().join("train.tsv");
    fs::write(&text, corpus(60, 1)).unwrap();
    let train = |call: PubTag, output: &str| {
        let output = folder.path().join(output);
        let call = call.arg("--cache-dir").arg(rig.cache.path()).arg("--epochs=3").arg("--batch-size=64");
        let call = call
            .arg("--context-words=20")
            .arg("--warmup=0")
            .arg("--learning-rate=1e-3")
            .arg("--overwrite")
            .arg("--train")
            .arg(&text);
        let (outcome, events) = logged(call.arg("--base").arg(&base).arg("--output").arg(&output));
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        (output, events)
    };
    let (on_cpu, _) = train(PubTag::new(crate::PROGRAM, ["train", "--device", "cpu"]), "cpu");
    // Without execution first, so that the autotuner does not execute every candidate several times.
    train(rig.call("train", "80"), "cuda");
    let (on_cuda, events) = train(rig.call("train", "80").env("STUB_COMPUTE", "1"), "cuda");
    assert_eq!(count(&events, "bad"), 0, "{events:?}");
    assert!(count(&events, "computed") > 100);

    let [expected, found] = [&on_cpu, &on_cuda].map(|model| metrics(model));
    assert_eq!(expected.len(), found.len());
    for (expected, found) in expected.iter().zip(&found) {
        for figure in ["loss", "gradient_norm"] {
            let [expected, found] = [expected, found].map(|line| line[figure].as_f64());
            let close = expected.zip(found).is_none_or(|(expected, found)| (expected - found).abs() < CLOSE * expected);
            assert!(close && expected.is_some() == found.is_some(), "{figure}: {found:?}, not {expected:?}");
        }
    }
    // The optimizer divides gradients by their sizes, so this compares their signs. Attention does not depend on biases of
    // keys, so theirs are noise.
    for (name, apart) in distances(&base, &on_cpu, &on_cuda) {
        assert!(apart < CLOSE || name.ends_with("key.bias"), "{name}: {apart}");
    }
}

/// How far apart two devices have moved each tensor of a model, relative to how far they have moved it.
fn distances(base: &Path, one: &Path, other: &Path) -> BTreeMap<String, f64> {
    let [base, one, other] = [base, one, other].map(|model| fs::read(model.join("model.safetensors")).unwrap());
    let [base, one, other] = [&base, &one, &other].map(|bytes| SafeTensors::deserialize(bytes).unwrap());
    let floats = |tensors: &SafeTensors<'_>, name: &str| -> Vec<f64> {
        let bytes = tensors.tensor(name).unwrap().data().to_vec();
        bytes.chunks_exact(4).map(|four| f64::from(f32::from_le_bytes([four[0], four[1], four[2], four[3]]))).collect()
    };
    let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>();
    let names = one.names().into_iter().map(str::to_owned);
    names
        .map(|name| {
            let [base, one, other] = [&base, &one, &other].map(|tensors| floats(tensors, &name));
            let moved = distance(&base, &one).max(f64::MIN_POSITIVE);
            (name, distance(&one, &other) / moved)
        })
        .collect()
}

/// A harness that cannot fail is worth nothing: errors planted in the program's own kernels.
#[test]
fn errors_planted_in_kernels_are_noticed() {
    let Some(rig) = Rig::find("errors_planted_in_kernels_are_noticed") else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = one_head(folder.path(), 64);
    let case = rig.case(&model, "80", "f16");
    case.tune();
    let planted = [
        ("a wrong function", "ex2.approx.ftz.f32=>lg2.approx.ftz.f32"),
        ("a wrong sign", "add.f32=>sub.f32"),
        ("a bound the wrong way round", "setp.ge.u32=>setp.lt.u32"),
        ("a wrong stride or offset", ", 4;=>, 8;"),
        ("a dropped barrier", "bar.sync \t0;=>"),
    ];
    for (what, plant) in planted {
        let (outcome, events) = logged(case.executed().env("STUB_PLANT", plant));
        assert_ne!(count(&events, "planted"), 0, "{what}: no kernel has `{plant}`");
        assert_ne!(outcome.code, Some(0), "{what} was not noticed:\n{}", outcome.stderr);
    }
}

/// Which kernel is wrong is not known to the program, but those that ran are.
#[test]
fn a_wrong_kernel_is_refused_with_the_names_of_those_that_ran() {
    let Some(rig) = Rig::find("a_wrong_kernel_is_refused_with_the_names_of_those_that_ran") else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = one_head(folder.path(), 64);
    let case = rig.case(&model, "80", "f16");
    case.tune();
    let outcome = case.executed().env("STUB_PLANT", "add.f32=>sub.f32").end();
    let products = r#""matmul_key":{"definition":{"m":1024,"n":64,"k":64"#;
    let words =
        ["logits disagree with the CPU's", "f16 differs by", "chosen by the autotuner", products, "kernel=\"fused_"];
    outcome.assert_fails(78, &words);
}
