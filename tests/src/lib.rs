//! Shared by the integration tests: the program, its inputs, and readers for its output.

mod citations;
mod outputs;
mod program;
mod proxy;
mod pubmed;
mod stores;
mod year;

pub use citations::{article, article_set, gzip, sample_article, write_corpus};
pub use outputs::{Rows, read_table, report};
pub use program::{
    Outcome, PubTag, fixture, peers_python, python, ray_python, shared, skipped, spark_python, tell, tiny_model,
    wheel_python,
};
pub use proxy::{CALLS, FAULTS, Fault, Proxy};
pub use pubmed::{PubMedFile, write_pubmed_file};
pub use stores::{Bucket, with_endpoint};
pub use year::{Year, YearFile};
