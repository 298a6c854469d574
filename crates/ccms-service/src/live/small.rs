//! Containers for what a hundred thousand entries have little of: they take the place of a pointer where `Vec` takes three.
use std::ops::{Deref, DerefMut};

use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;

/// A moment or none, in eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct When(i64);

impl When {
    pub const NEVER: Self = Self(i64::MIN);

    pub fn get(self) -> Option<UtcMillis> {
        (self != Self::NEVER).then_some(UtcMillis(self.0))
    }
}

impl From<Option<UtcMillis>> for When {
    fn from(at: Option<UtcMillis>) -> Self {
        at.map_or(Self::NEVER, |at| Self(at.0))
    }
}

/// A list that is empty nearly always.
#[derive(Debug)]
pub(crate) struct Few<T>(Option<Box<Held<T>>>);

#[derive(Debug)]
struct Held<T> {
    list: Vec<T>,
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Few<T> {
    pub fn as_slice(&self) -> &[T] {
        self.0.as_ref().map_or(&[], |held| &held.list)
    }

    pub fn push(&mut self, new: T) {
        self.0.get_or_insert_with(|| Box::new(Held { list: Vec::with_capacity(1) })).list.push(new);
    }

    /// # Panics
    /// As that of `Vec`.
    pub fn remove(&mut self, at: usize) -> T {
        let mut list = self.0.take().map(|held| held.list).unwrap_or_default();
        let gone = list.remove(at);
        self.put(list);
        gone
    }

    pub fn retain(&mut self, stays: impl FnMut(&T) -> bool) {
        if let Some(held) = self.0.take() {
            let mut list = held.list;
            list.retain(stays);
            self.put(list);
        }
    }

    fn put(&mut self, list: Vec<T>) {
        self.0 = (!list.is_empty()).then(|| Box::new(Held { list }));
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        self.as_slice()
    }
}

impl<T> DerefMut for Few<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.0.as_mut().map_or(&mut [], |held| &mut held.list)
    }
}

impl<'a, T> IntoIterator for &'a Few<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T> IntoIterator for &'a mut Few<T> {
    type Item = &'a mut T;
    type IntoIter = std::slice::IterMut<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

/// The lights of a device: one nearly always.
#[derive(Debug, Default)]
pub(crate) enum Driven {
    #[default]
    None,
    One(LightNo),
    Many(Few<LightNo>),
}

impl Driven {
    pub fn as_slice(&self) -> &[LightNo] {
        match self {
            Self::None => &[],
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }

    pub fn push(&mut self, no: LightNo) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(no),
            Self::One(first) => {
                let mut many = Few::default();
                many.push(first);
                many.push(no);
                Self::Many(many)
            }
            Self::Many(mut many) => {
                many.push(no);
                Self::Many(many)
            }
        };
    }

    pub fn remove(&mut self, no: LightNo) {
        let mut left = Self::None;
        self.iter().filter(|held| **held != no).for_each(|held| left.push(*held));
        *self = left;
    }
}

impl Deref for Driven {
    type Target = [LightNo];
    fn deref(&self) -> &[LightNo] {
        self.as_slice()
    }
}

impl<'a> IntoIterator for &'a Driven {
    type Item = &'a LightNo;
    type IntoIter = std::slice::Iter<'a, LightNo>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Entries by numbers from one on. Grows by pieces: nothing is kept for numbers to come, and nothing is moved.
#[derive(Debug)]
pub(super) struct Dense<T> {
    pieces: Vec<Box<[Option<T>]>>,
    highest: u32,
}

const PIECE: usize = 256;

impl<T> Default for Dense<T> {
    fn default() -> Self {
        Self { pieces: Vec::new(), highest: 0 }
    }
}

impl<T> Dense<T> {
    /// No entry has a higher number.
    pub fn highest(&self) -> u32 {
        self.highest
    }

    pub fn get(&self, no: u32) -> Option<&T> {
        let index = no.checked_sub(1)? as usize;
        self.pieces.get(index / PIECE)?.get(index % PIECE)?.as_ref()
    }

    pub fn get_mut(&mut self, no: u32) -> Option<&mut T> {
        let index = no.checked_sub(1)? as usize;
        self.pieces.get_mut(index / PIECE)?.get_mut(index % PIECE)?.as_mut()
    }

    /// The place of a number, which counts from one; zero has the first one's.
    pub fn slot(&mut self, no: u32) -> &mut Option<T> {
        let index = no.saturating_sub(1) as usize;
        self.highest = self.highest.max(no.max(1));
        if self.pieces.len() <= index / PIECE {
            self.pieces.resize_with(index / PIECE + 1, Box::default);
        }
        let piece = &mut self.pieces[index / PIECE];
        if piece.is_empty() {
            *piece = (0..PIECE).map(|_| None).collect();
        }
        &mut piece[index % PIECE]
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.pieces.iter().flatten().flatten()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.pieces.iter_mut().flatten().flatten()
    }

    /// Those with higher numbers, in their order.
    pub fn behind(&self, no: u32) -> impl Iterator<Item = &T> {
        let index = no as usize;
        let pieces = self.pieces.get(index / PIECE..).unwrap_or_default();
        pieces.iter().enumerate().flat_map(move |(n, piece)| {
            piece.get(if n == 0 { index % PIECE } else { 0 }..).unwrap_or_default().iter().flatten()
        })
    }
}

/// Numbers in a few bytes each. Up to `SHORT` bytes are kept in place; two less than a multiple of eight wastes none.
#[derive(Debug)]
pub(super) enum Bytes<const SHORT: usize> {
    Short(u8, [u8; SHORT]),
    Long(Box<[u8]>),
}

impl<const SHORT: usize> Bytes<SHORT> {
    /// Seven bits of each number in a byte, the lowest first.
    pub fn of_numbers(numbers: &[u64]) -> Self {
        let mut bytes = Vec::new();
        for number in numbers {
            let mut rest = *number;
            while rest > 0x7f {
                bytes.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            bytes.push(rest as u8);
        }
        let mut short = [0; SHORT];
        match short.get_mut(..bytes.len()) {
            Some(place) => {
                place.copy_from_slice(&bytes);
                Self::Short(bytes.len() as u8, short)
            }
            None => Self::Long(bytes.into()),
        }
    }

    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        let mut rest = match self {
            Self::Short(len, bytes) => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Self::Long(bytes) => bytes,
        };
        std::iter::from_fn(move || {
            let end = rest.iter().position(|b| b & 0x80 == 0)? + 1;
            let (number, behind) = rest.split_at(end);
            rest = behind;
            Some(number.iter().rev().fold(0, |all, b| all << 7 | u64::from(b & 0x7f)))
        })
    }

    pub fn number(&self, at: usize) -> u64 {
        self.numbers().nth(at).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_out_however_many() {
        for numbers in [vec![], vec![0, 127, 128, u64::MAX], (0..40).map(|n| 1 << n).collect::<Vec<_>>()] {
            assert_eq!(Bytes::<14>::of_numbers(&numbers).numbers().collect::<Vec<_>>(), numbers);
        }
    }

    #[test]
    fn entries_are_found_by_their_numbers_in_order() {
        let mut list = Dense::default();
        let all = [3, 255, 256, 257, 2_000];
        all.into_iter().rev().for_each(|no| *list.slot(no) = Some(no));
        assert!((0..3_000).all(|no| list.get(no).copied() == all.contains(&no).then_some(no)));
        assert_eq!((list.iter().copied().collect::<Vec<_>>(), list.highest()), (all.to_vec(), 2_000));
        for no in 0..2_500 {
            assert!(list.behind(no).eq(all.iter().filter(|held| **held > no)), "{no}");
        }
    }

    #[test]
    fn a_device_has_no_light_one_or_many() {
        let mut driven = Driven::default();
        for no in 1..=3 {
            driven.push(LightNo(no));
            assert!(driven.iter().copied().eq((1..=no).map(LightNo)));
        }
        driven.remove(LightNo(2));
        assert_eq!(*driven, [LightNo(1), LightNo(3)]);
        [1, 3].into_iter().for_each(|no| driven.remove(LightNo(no)));
        assert!(driven.is_empty());
        let mut few = Few::default();
        (0..4).for_each(|n| few.push(n));
        assert_eq!(few.remove(1), 1);
        few.retain(|n| *n == 3);
        assert_eq!(*few, [3]);
        few.retain(|_| false);
        assert!(few.is_empty() && size_of_val(&few) == 8 && size_of::<Driven>() == 16);
    }
}
