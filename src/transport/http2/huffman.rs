//! Strings in HPACK's Huffman code (RFC 7541, section 5.2 and appendix B), decoded.
//!
//! The code is canonical: codes of one length are consecutive numbers in the order of their
//! symbols, and shorter ones come first. So the lengths say all of it, and the tables are made of
//! them when this is compiled.

/// Bits of each byte's code. The code that ends a string, of 30 ones, never stands in one.
#[rustfmt::skip]
const BITS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

/// The longest code.
const BITS_MAX: usize = 30;

/// Codes up to this long are looked up at once: all of letters, digits and most punctuation.
const SHORT_BITS: u32 = 8;

/// A window on the string: the next code is in its highest bits.
const WINDOW_BITS: u32 = u64::BITS;

/// The string holds a code that there is not, or ends amid one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

struct Tables {
    /// By the next bits: symbol and length of a short code; length zero where the code is longer.
    short: [(u8, u8); 1 << SHORT_BITS],
    /// By length: the first code beyond those of this length, in the highest bits of a window.
    beyond: [u64; BITS_MAX + 1],
    /// By length: the first code of this length, as a number.
    first: [u32; BITS_MAX + 1],
    /// By length: where its symbols begin among those in the order of their codes.
    begin: [u16; BITS_MAX + 1],
    symbols: [u8; 256],
}

static TABLES: Tables = tables();

const fn tables() -> Tables {
    let mut tables = Tables {
        short: [(0, 0); 1 << SHORT_BITS],
        beyond: [0; BITS_MAX + 1],
        first: [0; BITS_MAX + 1],
        begin: [0; BITS_MAX + 1],
        symbols: [0; 256],
    };
    let (mut bits, mut code, mut at) = (1, 0u32, 0u16);
    while bits <= BITS_MAX {
        tables.first[bits] = code;
        tables.begin[bits] = at;
        let mut symbol = 0;
        while symbol < BITS.len() {
            if BITS[symbol] as usize == bits {
                tables.symbols[at as usize] = symbol as u8;
                if bits <= SHORT_BITS as usize {
                    let spare = SHORT_BITS - bits as u32;
                    let mut tail = 0;
                    while tail < 1 << spare {
                        tables.short[((code << spare) | tail) as usize] =
                            (symbol as u8, bits as u8);
                        tail += 1;
                    }
                }
                code += 1;
                at += 1;
            }
            symbol += 1;
        }
        tables.beyond[bits] = (code as u64) << (WINDOW_BITS - bits as u32);
        code <<= 1;
        bits += 1;
    }
    tables
}

/// Appends what `coded` says to `out`.
///
/// # Errors
///
/// If it is no string of whole codes, padded with fewer than eight ones.
pub fn decode(coded: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut rest = coded.iter();
    let (mut window, mut filled) = (0u64, 0u32);
    loop {
        while filled <= WINDOW_BITS - 8 {
            let Some(&byte) = rest.next() else { break };
            window |= u64::from(byte) << (WINDOW_BITS - 8 - filled);
            filled += 8;
        }
        if filled < 8 && is_padding(window, filled) {
            return Ok(());
        }
        let (symbol, bits) = next(window).ok_or(Malformed)?;
        filled = filled.checked_sub(bits).ok_or(Malformed)?;
        window <<= bits;
        out.push(symbol);
    }
}

/// The symbol whose code a window begins with, and how many bits that has.
#[inline]
fn next(window: u64) -> Option<(u8, u32)> {
    let (symbol, bits) = TABLES.short[(window >> (WINDOW_BITS - SHORT_BITS)) as usize];
    if bits > 0 {
        return Some((symbol, u32::from(bits)));
    }
    let bits = (SHORT_BITS as usize + 1..=BITS_MAX).find(|&bits| window < TABLES.beyond[bits])?;
    let code = (window >> (WINDOW_BITS - bits as u32)) as u32;
    let at = usize::from(TABLES.begin[bits]) + (code - TABLES.first[bits]) as usize;
    Some((TABLES.symbols[at], bits as u32))
}

/// Whether so few bits are what a string is filled up with: the beginning of the code that ends it.
fn is_padding(window: u64, filled: u32) -> bool {
    filled == 0 || window >> (WINDOW_BITS - filled) == (1 << filled) - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(coded: &[u8]) -> Result<Vec<u8>, Malformed> {
        let mut out = Vec::new();
        decode(coded, &mut out).map(|()| out)
    }

    /// The code as the appendix defines it, bit by bit.
    fn encode(text: &[u8]) -> Vec<u8> {
        let mut bits = Vec::new();
        for &byte in text {
            let length = BITS[usize::from(byte)];
            let shorter = TABLES.begin[usize::from(length)];
            let alike = TABLES.symbols[usize::from(shorter)..].iter();
            let offset = alike.take_while(|&&symbol| symbol != byte).count() as u32;
            let code = TABLES.first[usize::from(length)] + offset;
            bits.extend((0..length).rev().map(|bit| code >> bit & 1 == 1));
        }
        bits.resize(bits.len().next_multiple_of(8), true);
        let byte = |bits: &[bool]| bits.iter().fold(0, |byte, &bit| byte << 1 | u8::from(bit));
        bits.chunks(8).map(byte).collect()
    }

    #[test]
    fn the_samples_of_the_standard_are_read() {
        let sample = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
        assert_eq!(decoded(&sample).as_deref(), Ok(&b"www.example.com"[..]));
        let sample = [0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf];
        assert_eq!(decoded(&sample).as_deref(), Ok(&b"no-cache"[..]));
        assert_eq!(decoded(&[]).as_deref(), Ok(&b""[..]));
    }

    #[test]
    fn a_string_ends_with_fewer_than_eight_ones_and_nothing_else() {
        assert_eq!(decoded(&[0x1f]).as_deref(), Ok(&b"a"[..]));
        assert_eq!(decoded(&[0x1e]), Err(Malformed), "a zero amid the padding");
        assert_eq!(decoded(&[0x1f, 0xff]), Err(Malformed), "a byte of padding");
        assert_eq!(decoded(&[0xff, 0xff, 0xff, 0xff]), Err(Malformed), "the end itself");
    }

    proptest! {
        #[test]
        fn what_is_coded_is_read_again(text in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(decoded(&encode(&text)), Ok(text));
        }

        #[test]
        fn arbitrary_bytes_are_read_or_refused(coded in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(text) = decoded(&coded) {
                prop_assert_eq!(encode(&text), coded);
            }
        }
    }
}
