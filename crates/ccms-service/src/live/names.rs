//! Numbers by id, without a copy of the ids: an entry is a number, and whose id it is says the list that the number leads to.
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

#[derive(Debug, Default)]
pub(super) struct Names {
    numbers: HashTable<u32>,
    /// Ids come from strangers, so where they land must not be theirs to choose.
    seed: RandomState,
}

impl Names {
    /// The number whose id this is. `id_of` looks it up in the list.
    pub fn find<'a>(&self, id: &str, id_of: impl Fn(u32) -> Option<&'a str>) -> Option<u32> {
        self.numbers.find(self.seed.hash_one(id), |no| id_of(*no) == Some(id)).copied()
    }

    /// From here on `id` is `no`'s, as the list says already.
    pub fn put<'a>(&mut self, id: &str, no: u32, id_of: impl Fn(u32) -> Option<&'a str>) {
        let hash = self.seed.hash_one(id);
        match self.numbers.find_mut(hash, |held| id_of(*held) == Some(id)) {
            Some(held) => *held = no,
            None => {
                self.numbers.insert_unique(hash, no, |held| self.seed.hash_one(id_of(*held).unwrap_or_default()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_found_by_its_id_and_by_no_other() {
        let list: Vec<String> = (0..5_000).map(|n| format!("SL{n}")).collect();
        let mut names = Names::default();
        for round in 0..2 {
            for (id, no) in list.iter().zip(0..) {
                names.put(id, no, |no| list.get(no as usize).map(String::as_str));
            }
            assert_eq!(names.numbers.len(), 5_000, "round {round}");
        }
        let find = |id: &str| names.find(id, |no| list.get(no as usize).map(String::as_str));
        assert!(list.iter().zip(0..).all(|(id, no)| find(id) == Some(no)));
        assert_eq!(find("SL5000"), None);
    }
}
