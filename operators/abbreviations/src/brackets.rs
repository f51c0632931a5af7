//! Nested brackets.

/// The closing brackets of all open ones, innermost last.
#[derive(Debug, Default)]
pub(crate) struct Brackets(Vec<char>);

impl Brackets {
    /// Adds the next character; returns false if it closes a bracket that is not open.
    pub(crate) fn fit(&mut self, char: char) -> bool {
        match char {
            '(' => self.0.push(')'),
            '[' => self.0.push(']'),
            ')' | ']' => return self.0.pop() == Some(char),
            _ => {}
        }
        true
    }

    /// Whether no bracket is open.
    pub(crate) fn are_closed(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all brackets in a text are balanced.
    pub(crate) fn balance(text: &str) -> bool {
        let mut brackets = Self::default();
        text.chars().all(|char| brackets.fit(char)) && brackets.are_closed()
    }
}
