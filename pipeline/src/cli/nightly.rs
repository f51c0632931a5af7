//! `pubtag nightly`.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `pubtag nightly`.
#[derive(Args, Debug)]
#[command(
    override_usage = "pubtag nightly [OPTIONS] --config <FILE>",
    after_help = "\
The settings file has a section for each step, with the options of its command:

  [sync]
  into = \"/data/pubmed\"
  contact = \"you@example.org\"
  known-gap = [\"pubmed26n1412\"]  # never issued by NLM
  prune = true

  [run]                        # inputs default to the mirror
  output = \"/lake/pubmed\"
  model = \"models/disease-ner\"

  [verify]                     # quick by default
  quick = true

  [snapshot]
  keep = 7

`into` and `output` may be URLs of object stores. A step that fails ends the night: what was published before stays \
published. Files that `sync` cannot fetch, and gaps in NLM's numbering, do not: the others are tagged and published. May be \
killed at any time; rerun to resume. Exit codes are those of the last step that failed: 0 success · 2 usage · 65 data, notify a person · 70 internal error · 75 transient, \
rerun later · 78 configuration · 130/143 signal"
)]
pub struct NightlyArgs {
    /// Settings of all steps, TOML or YAML.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}
