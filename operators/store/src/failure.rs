//! A failure of a store as a person reads it.

use std::fmt;
use std::iter::successors;

use object_store::Error;

use crate::cause::Cause;

/// Longest answer of a store in a message, in characters: some answer with pages.
const MOST_ANSWER: usize = 300;

/// A failure of a store, as the end of a message: the cause, what the store answered, and the way out.
///
/// `object_store` repeats the answer in every layer of its errors, with the XML around it. So this has no source.
#[derive(Debug)]
pub struct StoreFailure {
    cause: Cause,
    answer: String,
}

impl StoreFailure {
    /// Whether running again may succeed without changing anything.
    pub fn is_transient(&self) -> bool {
        self.cause.is_transient()
    }
}

impl From<Error> for StoreFailure {
    fn from(error: Error) -> Self {
        Self { cause: Cause::of(&error), answer: answer(&error) }
    }
}

impl fmt::Display for StoreFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (answer, advice) = (&self.answer, self.cause.advice());
        match advice.split_once("; ") {
            Some((cause, way_out)) => write!(f, "{cause} ({answer}); {way_out}"),
            // The answer is all that is known.
            None => write!(f, "{answer}; {advice}"),
        }
    }
}

impl std::error::Error for StoreFailure {}

/// Whether an error says that an object does not exist, although its bucket does.
pub fn is_absent(error: &Error) -> bool {
    matches!(error, Error::NotFound { .. }) && Cause::of(error) != Cause::NoBucket
}

/// Whether an error says that the store does not implement what was asked.
pub fn is_unsupported(error: &Error) -> bool {
    Cause::of(error) == Cause::Unsupported
}

/// What the store answered, without the layers around it: code and message, or the innermost error.
pub(crate) fn answer(error: &Error) -> String {
    if let Error::InvalidPath { source } = error {
        return one_line(&source.to_string());
    }
    let first: &(dyn std::error::Error + 'static) = error;
    let innermost = successors(Some(first), |&error| error.source()).last().map(ToString::to_string);
    let text = innermost.unwrap_or_default();
    let text = text.strip_prefix("Server returned non-2xx status code: ").unwrap_or(&text);
    match (element(text, "Code"), element(text, "Message")) {
        (Some(code), Some(message)) => format!("{code}: {}", unescaped(message)),
        _ => one_line(text),
    }
}

/// The first line of an element of an answer in XML.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (content, _) = rest.split_once(&format!("</{name}>"))?;
    content.lines().next().map(str::trim)
}

fn unescaped(text: &str) -> String {
    const ENTITIES: [(&str, &str); 6] =
        [("&#39;", "'"), ("&apos;", "'"), ("&quot;", "\""), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];
    ENTITIES.iter().fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character))
}

fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST_ANSWER) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.trim_end_matches(':').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn failure(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> String {
        StoreFailure::from(Error::Generic { store: "test", source: source.into() }).to_string()
    }

    #[test]
    fn a_key_that_is_not_a_path_is_named_and_not_worth_another_try() {
        for key in ["in//x.xml", "in/../x.xml"] {
            let error = object_store::path::Path::parse(key).expect_err("not a path");
            let failure = StoreFailure::from(Error::from(error));
            assert!(!failure.is_transient() && failure.to_string().contains(key), "{failure}");
        }
    }

    #[test]
    fn the_answer_of_a_store_is_shown_once_and_without_its_xml() {
        let refused = "Server returned non-2xx status code: 404 Not Found: <?xml version=\"1.0\"?>\n<Error>\
            <Code>NoSuchBucket</Code>\n<Message>It doesn&#39;t exist.\nRequestId: 7</Message></Error>";
        let expected = "the bucket does not exist (NoSuchBucket: It doesn't exist.); create it or check the URL";
        assert_eq!(failure(refused), expected);
        let broken = failure(io::Error::from(io::ErrorKind::ConnectionReset));
        assert_eq!(broken, "connection reset; run again (existing commits are kept)");
        let page = failure("<html>\n".repeat(1000));
        assert!(page.chars().count() < 400 && page.contains("…; run again"), "{page}");
    }
}
