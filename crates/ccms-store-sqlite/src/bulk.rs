//! Inserts of many rows at once, in a few fixed sizes, so that every statement stays prepared. These texts are put
//! together at run time, from constants of this crate only, and so escape the check at compile time; the contract runs them.
use std::fmt::Write;

/// Rows per statement, largest first. A batch of 1,000 takes eight statements.
const SIZES: [usize; 6] = [512, 128, 32, 8, 2, 1];

/// One statement for each size.
pub(crate) struct Bulk(Vec<(usize, String)>);

impl Bulk {
    /// `head` ends before `VALUES`, `tail` follows the rows.
    pub(crate) fn new(head: &str, columns: usize, tail: &str) -> Self {
        let row = format!("({})", vec!["?"; columns].join(","));
        let statement = |rows: usize| {
            let mut sql = format!("{head} VALUES {row}");
            for _ in 1..rows {
                write!(sql, ",{row}").expect("a String takes every text");
            }
            sql + " " + tail
        };
        Self(SIZES.map(|rows| (rows, statement(rows))).into())
    }

    /// Cuts `rows` into pieces, each with the statement of its size, in order.
    pub(crate) fn pieces<'a, T>(&'static self, rows: &'a [T]) -> impl Iterator<Item = (&'static str, &'a [T])> {
        let mut rest = rows;
        std::iter::from_fn(move || {
            let (size, sql) = self.0.iter().find(|(size, _)| *size <= rest.len())?;
            let (piece, later) = rest.split_at(*size);
            rest = later;
            Some((sql.as_str(), piece))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    static BULK: LazyLock<Bulk> = LazyLock::new(|| Bulk::new("INSERT INTO t (a, b)", 2, "ON CONFLICT DO NOTHING"));

    #[test]
    fn every_row_is_in_one_piece_of_a_prepared_size() {
        assert_eq!(BULK.pieces::<u8>(&[]).count(), 0);
        let rows: Vec<u32> = (0..1_000).collect();
        let pieces: Vec<_> = BULK.pieces(&rows).collect();
        assert_eq!(pieces.iter().map(|(_, p)| p.len()).collect::<Vec<_>>(), [512, 128, 128, 128, 32, 32, 32, 8]);
        assert_eq!(pieces.iter().flat_map(|(_, p)| p.iter().copied()).collect::<Vec<_>>(), rows);
        assert_eq!(
            BULK.pieces(&[1, 2]).next().unwrap().0,
            "INSERT INTO t (a, b) VALUES (?,?),(?,?) ON CONFLICT DO NOTHING"
        );
    }
}
