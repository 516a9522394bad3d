//! Things by name, of which there are mostly few.

use std::collections::HashMap;

use foldhash::fast::RandomState;

/// Up to so many names are looked through one after another: their lengths tell most of them apart,
/// and that costs less than hashing the one that is asked for.
const FEW: usize = 8;

/// Things by name, in no particular order.
#[derive(Debug)]
pub struct Named<T> {
    all: Box<[(Box<str>, T)]>,
    /// Positions by name, if they are too many to be looked through.
    positions: HashMap<Box<str>, usize, RandomState>,
}

impl<T> Named<T> {
    pub fn few(&self) -> bool {
        self.all.len() <= FEW
    }

    #[inline]
    pub fn get(&self, name: &str) -> Option<&T> {
        if self.few() {
            return self.iter().find(|(known, _)| **known == *name).map(|(_, thing)| thing);
        }
        let position = *self.positions.get(name)?;
        Some(&self.all[position].1)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.all.iter().map(|(name, thing)| (&**name, thing))
    }

    pub fn values_mut(&mut self) -> impl Iterator<Item = (&str, &mut T)> {
        self.all.iter_mut().map(|(name, thing)| (&**name, thing))
    }
}

/// Each name must come once.
impl<T> FromIterator<(Box<str>, T)> for Named<T> {
    fn from_iter<I: IntoIterator<Item = (Box<str>, T)>>(pairs: I) -> Named<T> {
        let all: Box<[_]> = pairs.into_iter().collect();
        let mut positions = HashMap::default();
        if FEW < all.len() {
            let position =
                |(position, (name, _)): (usize, &(Box<str>, T))| (name.clone(), position);
            positions.extend(all.iter().enumerate().map(position));
        }
        Named { all, positions }
    }
}

impl<T> Default for Named<T> {
    fn default() -> Named<T> {
        Named::from_iter([])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_are_found_by_name() {
        for count in [0, 1, FEW, FEW + 1, 1000] {
            let named: Named<usize> = (0..count).map(|it| (it.to_string().into(), it)).collect();
            assert!((0..count).all(|it| named.get(&it.to_string()) == Some(&it)), "{count}");
            assert_eq!(named.get("other"), None);
        }
    }
}
