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
    /// The number whose id this is. `has_id` compares it with that of an entry of the list.
    pub fn find(&self, id: &str, has_id: impl Fn(u32) -> bool) -> Option<u32> {
        self.numbers.find(self.seed.hash_one(id), |no| has_id(*no)).copied()
    }

    /// From here on `id` is `no`'s, as the list says already, which `id_of` reads when the table grows.
    pub fn put(&mut self, id: &str, no: u32, has_id: impl Fn(u32) -> bool, id_of: impl Fn(u32) -> String) {
        let hash = self.seed.hash_one(id);
        match self.numbers.find_mut(hash, |held| has_id(*held)) {
            Some(held) => *held = no,
            None => {
                self.numbers.insert_unique(hash, no, |held| self.seed.hash_one(&*id_of(*held)));
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
                names.put(id, no, |no| list[no as usize] == *id, |no| list[no as usize].clone());
            }
            assert_eq!(names.numbers.len(), 5_000, "round {round}");
        }
        let find = |id: &str| names.find(id, |no| list[no as usize] == id);
        assert!(list.iter().zip(0..).all(|(id, no)| find(id) == Some(no)));
        assert_eq!(find("SL5000"), None);
    }
}
