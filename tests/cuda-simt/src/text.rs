//! PTX as text: statements with their lines, before anything is understood.

/// A failure to read a module, with the line that it is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The line of the module, from 1.
    pub line: u32,
    /// What is wrong, with the text that it is about.
    pub problem: String,
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

impl std::error::Error for ParseError {}

/// What a module or the body of a kernel consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// `{` where a statement could begin.
    Open,
    /// Its `}`.
    Close,
    /// `name:`
    Label(String),
    /// Anything that ends in a semicolon, with single spaces.
    Statement(String),
    /// `.version`, `.target`, `.entry` …: what stands before a body or ends with its line.
    Directive(String),
}

/// Reads the items of a PTX text one after the other.
#[derive(Debug)]
pub(crate) struct Items<'a> {
    text: &'a str,
    at: usize,
    /// Where the line was counted, and which one it was.
    counted: (usize, u32),
}

impl<'a> Items<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0, counted: (0, 1) }
    }

    /// The next item and the line on which it begins.
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Item)>, ParseError> {
        self.skip_blanks();
        let line = self.line();
        let rest = &self.text[self.at..];
        let Some(first) = rest.chars().next() else { return Ok(None) };
        let item = match first {
            '{' => self.take(1, Item::Open),
            '}' => self.take(1, Item::Close),
            _ if ends_with_line(rest) => {
                let length = rest.find('\n').unwrap_or(rest.len());
                let text = without_comments(&rest[..length]);
                self.take(length, Item::Directive(tidy(&text)))
            }
            _ => {
                let word = rest.find(|letter: char| !is_name(letter)).unwrap_or(rest.len());
                if word > 0 && rest[word..].starts_with(':') && !rest[word..].starts_with("::") {
                    self.take(word + 1, Item::Label(rest[..word].to_owned()))
                } else {
                    self.statement(line)?
                }
            }
        };
        Ok(Some((line, item)))
    }

    fn take(&mut self, length: usize, item: Item) -> Item {
        self.at += length;
        item
    }

    /// A statement, or the head of a function, which ends before its body.
    fn statement(&mut self, line: u32) -> Result<Item, ParseError> {
        let rest = &self.text[self.at..];
        let is_head =
            rest.split([';', '{']).next().is_some_and(|head| head.contains(".entry") || head.contains(".func"));
        let end = rest.find(if is_head { &[';', '{'][..] } else { &[';'][..] });
        let unended =
            || ParseError { line, problem: format!("no end of `{}`", rest.lines().next().unwrap_or_default()) };
        let end = end.ok_or_else(unended)?;
        let text = tidy(&without_comments(&rest[..end]));
        let ends_in_body = rest.as_bytes()[end] == b'{';
        self.at += end + usize::from(!ends_in_body);
        Ok(if ends_in_body { Item::Directive(text) } else { Item::Statement(text) })
    }

    /// Skips blanks, comments and sections, which hold debugging information for a program that has been linked.
    fn skip_blanks(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            let blank =
                rest.len() - rest.trim_start_matches(|letter: char| letter.is_whitespace() || letter == ';').len();
            self.at += blank;
            let rest = &self.text[self.at..];
            if rest.starts_with("//") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                self.at += rest.find("*/").map_or(rest.len(), |end| end + 2);
            } else if rest.starts_with(".section") {
                self.at += rest.find('}').map_or(rest.len(), |end| end + 1);
            } else if blank == 0 {
                return;
            }
        }
    }

    fn line(&mut self) -> u32 {
        let (from, line) = self.counted;
        let line = line + self.text[from..self.at].matches('\n').count() as u32;
        self.counted = (self.at, line);
        line
    }
}

/// Directives that no semicolon ends.
fn ends_with_line(text: &str) -> bool {
    let word = text.split_whitespace().next().unwrap_or_default();
    matches!(word, ".version" | ".target" | ".address_size" | ".loc" | ".file")
}

pub(crate) fn is_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '$' | '%')
}

fn without_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for line in text.lines() {
        kept.push_str(line.split("//").next().unwrap_or_default());
        kept.push('\n');
    }
    while let Some((start, end)) =
        kept.find("/*").and_then(|start| Some((start, kept[start..].find("*/")? + start + 2)))
    {
        kept.replace_range(start..end, " ");
    }
    kept
}

/// Single spaces between words.
fn tidy(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Splits operands at the commas outside of braces and brackets.
pub(crate) fn operands(text: &str) -> Vec<String> {
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for letter in text.chars() {
        depth += i32::from(matches!(letter, '{' | '[' | '(')) - i32::from(matches!(letter, '}' | ']' | ')'));
        match parts.last_mut() {
            Some(part) if letter != ',' || depth > 0 => part.push(letter),
            _ => parts.push(String::new()),
        }
    }
    let parts: Vec<String> = parts.iter().map(|part| part.trim().to_owned()).collect();
    if parts.iter().all(String::is_empty) { Vec::new() } else { parts }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str) -> Vec<(u32, Item)> {
        let mut reader = Items::new(text);
        std::iter::from_fn(|| reader.next().unwrap()).collect()
    }

    #[test]
    fn statements_keep_their_lines() {
        let text = ".version 8.5\n// note\n.visible .entry add(\n .param .u64 a\n)\n{\nL_1:\n@%p1 mov.b64\n\t{%r1, %r2}, %rd1; /* x\n */ ret;\n}\n";
        let (directive, statement) =
            (|text: &str| Item::Directive(text.to_owned()), |text: &str| Item::Statement(text.to_owned()));
        assert_eq!(
            items(text),
            [
                (1, directive(".version 8.5")),
                (3, directive(".visible .entry add( .param .u64 a )")),
                (6, Item::Open),
                (7, Item::Label("L_1".to_owned())),
                (8, statement("@%p1 mov.b64 {%r1, %r2}, %rd1")),
                (10, statement("ret")),
                (11, Item::Close),
            ]
        );
    }

    #[test]
    fn sections_are_skipped() {
        let text = "\n.section .debug_str\n{\n$L_info:\n.b8 95,90\n.b8 0\n}\nret;";
        assert_eq!(items(text), [(8, Item::Statement("ret".to_owned()))]);
    }

    #[test]
    fn operands_are_split_outside_of_braces() {
        assert_eq!(operands("{%r1, %r2}, [%rd1+4, {%r3, %r4}], 7"), ["{%r1, %r2}", "[%rd1+4, {%r3, %r4}]", "7"]);
        assert!(operands(" ").is_empty());
    }

    #[test]
    fn a_statement_without_end_is_refused() {
        let error = Items::new("\nmov.u32 %r1, 7").next().unwrap_err();
        assert_eq!(error.to_string(), "line 2: no end of `mov.u32 %r1, 7`");
    }
}
