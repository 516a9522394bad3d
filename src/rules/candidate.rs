//! Rules that may apply, and lists of them.

/// A rule by its position, and whether being found says all there is to say of its conditions.
///
/// In one number, the position ahead: candidates are sorted and compared by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate(u32);

impl Candidate {
    /// Of a rule whose conditions all hold if it is found, or are still to be looked at.
    pub fn new(position: u32, holds: bool) -> Candidate {
        Candidate(position << 1 | u32::from(!holds))
    }

    pub fn position(self) -> usize {
        (self.0 >> 1) as usize
    }

    /// Whether its conditions are known to hold.
    pub fn holds(self) -> bool {
        self.0 & 1 == 0
    }
}

/// Lists of candidates, one behind the other, by number.
#[derive(Debug)]
pub struct Hung {
    all: Vec<Candidate>,
    /// Where each list starts, and where the last one ends.
    starts: Vec<u32>,
}

impl Hung {
    /// Adds a list and returns its number.
    pub fn push(&mut self, list: impl Iterator<Item = Candidate>) -> u32 {
        let number = self.starts.len() - 1;
        self.all.extend(list);
        self.starts.push(self.all.len() as u32);
        number as u32
    }

    #[inline]
    pub fn list(&self, number: u32) -> &[Candidate] {
        let number = number as usize;
        &self.all[self.starts[number] as usize..self.starts[number + 1] as usize]
    }
}

impl Default for Hung {
    fn default() -> Hung {
        Hung { all: Vec::new(), starts: vec![0] }
    }
}
