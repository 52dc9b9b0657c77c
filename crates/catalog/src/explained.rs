//! What the optimiser says to `EXPLAIN FORMAT=TRADITIONAL`.

use sqlx::{Row as _, mysql::MySqlRow};

/// The rows that it expects to read, by one row of its answer.
pub(crate) fn expected_rows(explained: &[MySqlRow], nth: usize) -> Result<f64, sqlx::Error> {
    let row = explained.get(nth).ok_or(sqlx::Error::RowNotFound)?;
    // Null where the optimiser knows that there are none; a number to MySQL, its digits to MariaDB.
    let rows = match row.try_get::<Option<u64>, _>("rows") {
        Ok(rows) => rows,
        Err(_) => row.try_get::<Option<&str>, _>("rows")?.and_then(|digits| digits.parse().ok()),
    };
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    Ok(rows.unwrap_or(0) as f64)
}
