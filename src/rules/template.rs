//! Texts with places for values, as compiled.

/// A text in which some places are filled in for each answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    pub pieces: Box<[Piece]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Text(Box<str>),
    Value {
        field: Field,
        /// Whether it stands by itself as a value of JSON, rather than within a text.
        bare: bool,
    },
}

/// What may be filled in: of the limit that is shown, or of the descriptor it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    Limit,
    Remaining,
    /// Seconds, as in the header; nothing if no wait would help.
    RetryAfter,
    /// A moment or seconds, as the header shows it.
    Reset,
    Rule,
    Plan,
    Entry(Box<str>),
}
