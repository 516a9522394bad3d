//! Sizes of memory as people write them.

/// Below this the tables of an evenly filled store, which begin with a few slots each, would be
/// most of what there is.
pub const MEMORY_BYTES_MIN: u64 = 8 << 20;

/// What a number may be followed by, and how many bytes one of it is.
const UNITS: [(&str, u64); 13] = [
    ("", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// Reads a size such as `512MiB`, `2Gi` or a plain number of bytes.
///
/// # Errors
///
/// If it is none, or less than [`MEMORY_BYTES_MIN`]; in words for people.
pub fn memory_bytes(text: &str) -> Result<u64, String> {
    let digits = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()));
    let number = number.parse::<u64>().ok();
    let bytes = number.zip(unit).and_then(|(number, (_, each))| number.checked_mul(*each));
    match bytes {
        None => Err("write a size, such as 512MiB, 2GiB or a number of bytes".into()),
        Some(bytes) if bytes < MEMORY_BYTES_MIN => {
            Err(format!("less than {} MiB is too little to count in", MEMORY_BYTES_MIN >> 20))
        }
        Some(bytes) => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_the_usual_units() {
        let cases = [
            ("536870912", 512 << 20),
            ("512MiB", 512 << 20),
            ("512mib", 512 << 20),
            ("2 GiB", 2 << 30),
            ("2Gi", 2 << 30),
            ("20MB", 20_000_000),
        ];
        for (text, bytes) in cases {
            assert_eq!(memory_bytes(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "MiB", "-1", "1.5GiB", "12 parsecs", "18446744073709551615TiB"] {
            assert!(memory_bytes(text).is_err_and(|why| why.starts_with("write a size")), "{text}");
        }
        assert!(memory_bytes("3MiB").is_err_and(|why| why.contains("8 MiB")));
    }
}
