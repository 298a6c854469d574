//! Texts of which a city has thousands that differ in their numbers only: `Street light 4711`, `17 Linden Road`, `IMEI:35…`.
//! What is alike is kept once, as a [`Pattern`]; an entry keeps a pointer to it and its numbers, a few bytes each.
//!
//! Any text comes out as it went in. One whose pattern nobody shares takes about 60 bytes more than by itself.
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;

/// Ends a field.
const END: u8 = 0;
/// Stands for the next number.
const NEXT: u8 = 1;
/// Stands for a number that was there before; the byte behind it says which.
const AGAIN: u8 = 2;
/// The byte behind it stands for itself.
const ITSELF: u8 = 3;
/// There is no such field.
const ABSENT: u8 = 4;
/// Numbers that [`AGAIN`] can name: their bytes are printable.
const NAMEABLE: u8 = 90;
const FIRST_NAME: u8 = b' ';
/// Numbers up to this one are not named: see [`Writer::number`].
const SMALL: u64 = 127;
/// Digits of a number that surely fits.
const DIGITS: usize = 18;

/// Fields with holes where their numbers were.
#[derive(Debug, PartialEq)]
pub(super) struct Pattern(Box<str>);

/// Every pattern that somebody has, once.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    held: HashTable<Arc<Pattern>>,
    /// With so many it is time to let go of those that nobody has any more: devices say new things of themselves for ever.
    crowded_at: usize,
    seed: RandomState,
}

const CROWDED_MIN: usize = 1_024;

impl Patterns {
    pub fn keep(&mut self, pattern: String) -> Arc<Pattern> {
        let hash = self.seed.hash_one(&*pattern);
        if let Some(held) = self.held.find(hash, |held| *held.0 == *pattern) {
            return held.clone();
        }
        let hash_of = |seed: &RandomState, held: &Arc<Pattern>| seed.hash_one(&*held.0);
        if self.held.len() >= self.crowded_at.max(CROWDED_MIN) {
            self.held.retain(|held| Arc::strong_count(held) > 1);
            self.crowded_at = self.held.len() * 2;
            self.held.shrink_to(0, |held| hash_of(&self.seed, held));
        }
        let new = Arc::new(Pattern(pattern.into()));
        self.held.insert_unique(hash, new.clone(), |held| hash_of(&self.seed, held));
        new
    }
}

/// Takes fields apart.
pub(super) struct Writer {
    pattern: String,
    pub numbers: Vec<u64>,
    /// Numbers before it are not the texts'.
    first: usize,
}

impl Writer {
    /// `numbers` come before those of the texts.
    pub fn behind(numbers: Vec<u64>) -> Self {
        Self { pattern: String::new(), first: numbers.len(), numbers }
    }

    pub fn field(&mut self, text: Option<&str>) {
        let Some(mut rest) = text else { return self.pattern.push(ABSENT.into()) };
        while let Some(at) = rest.find(|c: char| u32::from(c) <= ABSENT.into() || ('1'..='9').contains(&c)) {
            self.pattern.push_str(&rest[..at]);
            rest = &rest[at..];
            let digits = rest.bytes().take(DIGITS).take_while(u8::is_ascii_digit).count();
            match rest[..digits].parse() {
                Ok(number) => self.number(number),
                Err(_) => {
                    self.pattern.push(ITSELF.into());
                    self.pattern.push_str(&rest[..1]);
                }
            }
            rest = &rest[digits.max(1)..];
        }
        self.pattern.push_str(rest);
        self.pattern.push(END.into());
    }

    /// A value that is part of the pattern. No digits: those would be numbers.
    pub fn alike(&mut self, bits: Option<u64>) {
        let letters =
            bits.map(|bits| (0..16).map(|n| char::from(b'a' + (bits >> (n * 4) & 15) as u8)).collect::<String>());
        self.field(letters.as_deref());
    }

    fn number(&mut self, number: u64) {
        // A small one takes a byte either way, and numbers that are the same by chance would make patterns of their own.
        let texts = self.numbers[self.first..].iter();
        let known =
            texts.take(NAMEABLE.into()).position(|n| *n == number && *n > SMALL).and_then(|at| u8::try_from(at).ok());
        match known {
            Some(at) => self.pattern.extend([AGAIN, FIRST_NAME + at].map(char::from)),
            None => {
                self.numbers.push(number);
                self.pattern.push(NEXT.into());
            }
        }
    }

    pub fn done(self, patterns: &mut Patterns) -> (Arc<Pattern>, Vec<u64>) {
        (patterns.keep(self.pattern), self.numbers)
    }
}

/// A pattern with its numbers back in their places. `number` knows them by their place among those of the texts.
pub(super) struct Fields<'a, N> {
    pub pattern: &'a Pattern,
    pub number: N,
}

impl<N: Fn(usize) -> u64> Fields<'_, N> {
    /// Hands the pieces of a field to `take` until that has enough. False when there is no such field.
    fn pieces(&self, field: usize, mut take: impl FnMut(&str) -> bool) -> bool {
        let (text, mut at, mut next) = (&*self.pattern.0, 0, 0);
        let bytes = text.as_bytes();
        let mut passed = 0;
        let mut from = 0;
        while let Some(control) = bytes.get(at) {
            if *control > ABSENT {
                at += 1;
                continue;
            }
            let wanted = passed == field;
            if wanted && at > from && !take(&text[from..at]) {
                return true;
            }
            let named = bytes.get(at + 1).copied().unwrap_or(FIRST_NAME);
            let enough = match *control {
                END | ABSENT if wanted => return *control == END,
                NEXT if wanted => !take(decimal((self.number)(next), &mut [0; 20])),
                AGAIN if wanted => !take(decimal((self.number)(usize::from(named - FIRST_NAME)), &mut [0; 20])),
                ITSELF if wanted => !take(&text[at + 1..at + 2]),
                _ => false,
            };
            if enough {
                return true;
            }
            passed += usize::from(matches!(*control, END | ABSENT));
            next += usize::from(*control == NEXT);
            at += if matches!(*control, AGAIN | ITSELF) { 2 } else { 1 };
            from = at;
        }
        false
    }

    pub fn get(&self, field: usize) -> Option<String> {
        let mut text = String::new();
        self.append(field, &mut text).then_some(text)
    }

    /// False when there is no such field.
    pub fn append(&self, field: usize, text: &mut String) -> bool {
        self.pieces(field, |piece| {
            text.push_str(piece);
            true
        })
    }

    pub fn is(&self, field: usize, wanted: &str) -> bool {
        let mut rest = Some(wanted);
        let there = self.pieces(field, |piece| {
            rest = rest.and_then(|rest| rest.strip_prefix(piece));
            rest.is_some()
        });
        there && rest == Some("")
    }

    pub fn alike(&self, field: usize) -> Option<u64> {
        let letters = self.get(field)?;
        Some(letters.bytes().rev().fold(0, |bits, letter| bits << 4 | u64::from(letter.wrapping_sub(b'a') & 15)))
    }
}

/// As `to_string`, without taking memory.
fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &str {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 || at == 0 {
            return std::str::from_utf8(&digits[at..]).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken_apart(patterns: &mut Patterns, fields: &[Option<String>]) -> (Arc<Pattern>, Vec<u64>) {
        let mut writer = Writer::behind(vec![7]);
        fields.iter().for_each(|f| writer.field(f.as_deref()));
        writer.done(patterns)
    }

    proptest! {
        #[test]
        fn every_text_comes_out_as_it_went_in(fields in prop::collection::vec(
            prop::option::of(prop_oneof!["[a-z0-9 ]{0,12}", "[\\x00-\\x07ä0-9]{0,12}", "[0-9]{0,60}", "\\PC{0,12}"]), 1..7)
        ) {
            let mut patterns = Patterns::default();
            let (pattern, numbers) = taken_apart(&mut patterns, &fields);
            let read = Fields { pattern: &pattern, number: |n| numbers[n + 1] };
            for (n, field) in fields.iter().enumerate() {
                prop_assert_eq!(&read.get(n), field);
                prop_assert!(field.as_ref().is_none_or(|text| read.is(n, text)));
                let longer = format!("{}1", field.as_deref().unwrap_or_default());
                prop_assert!(!read.is(n, &longer));
            }
            prop_assert_eq!(read.get(fields.len()), None);
        }
    }

    #[test]
    fn a_value_that_is_alike_comes_out() {
        for bits in [None, Some(0), Some(u64::MAX), Some(90f64.to_bits())] {
            let mut writer = Writer::behind(Vec::new());
            writer.field(Some("5"));
            writer.alike(bits);
            let (pattern, numbers) = writer.done(&mut Patterns::default());
            assert_eq!((Fields { pattern: &pattern, number: |n| numbers[n] }.alike(1), numbers.len()), (bits, 1));
        }
    }

    #[test]
    fn what_is_alike_is_kept_once_and_not_for_ever() {
        let mut patterns = Patterns::default();
        let fields = |n: u32| [Some(format!("SL{n}")), Some(format!("{n} Linden Road, {}", n + 1))];
        let kept: Vec<_> = (1..100).map(|n| taken_apart(&mut patterns, &fields(n))).collect();
        assert_eq!(patterns.held.len(), 1);
        for n in 0..100 * CROWDED_MIN {
            let letters = format!("{n:x}").replace(|c: char| c.is_ascii_digit(), "x");
            taken_apart(&mut patterns, &[Some(letters), Some("y".repeat(n % 1_000))]);
        }
        assert!(patterns.held.len() <= 2 * CROWDED_MIN, "{}", patterns.held.len());
        assert!(kept.iter().all(|(pattern, _)| Arc::ptr_eq(pattern, &kept[0].0)));
        assert!(Arc::ptr_eq(&taken_apart(&mut patterns, &fields(7)).0, &kept[0].0));
    }
}
