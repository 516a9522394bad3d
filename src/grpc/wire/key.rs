//! Keys of fields: the number of a field and how its value is written. They stand ahead of it.

/// How a value is written, and by that how to get past it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Varint,
    EightBytes,
    /// A length and so many bytes: a text or a message.
    Delimited,
    /// All fields up to the end of the group.
    Group,
    GroupEnd,
    FourBytes,
}

const FORM_BITS: u32 = 3;

impl Form {
    /// None for the two that mean nothing.
    pub fn of(key: u32) -> Option<Form> {
        match key & ((1 << FORM_BITS) - 1) {
            0 => Some(Form::Varint),
            1 => Some(Form::EightBytes),
            2 => Some(Form::Delimited),
            3 => Some(Form::Group),
            4 => Some(Form::GroupEnd),
            5 => Some(Form::FourBytes),
            _ => None,
        }
    }
}

pub const fn varint(number: u32) -> u32 {
    number << FORM_BITS
}

pub const fn delimited(number: u32) -> u32 {
    number << FORM_BITS | 2
}

pub const fn number(key: u32) -> u32 {
    key >> FORM_BITS
}
