//! A statement in the making: its text, which depends on the shape of a query only, and the values bound to it.

use std::{fmt, time::Duration};

use chrono::{DateTime, Utc};
use sqlx::{
    AssertSqlSafe, MySqlConnection,
    mysql::{MySqlArguments, MySqlRow},
    query::Query,
};
use tracing::{Span, field::Empty, info_span};

use crate::{Price, config::statement_deadline, dialect::Dialect};

/// What a statement does: the label of its metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A page that one index serves.
    Page,
    /// How many rows a price range holds, as the optimiser sees it.
    Estimate,
    /// The sort's index, filtered by price.
    Filtered,
    /// The same, for so many rows.
    Walk,
    /// A price range, sorted.
    Range,
    /// Where the price bands begin: a loose index scan.
    FirstRows,
    /// The price bands that begin first, merged.
    Bands,
    /// A full-text search.
    Search,
    Product,
    Categories,
    /// A few products, drawn.
    Sample,
    Ping,
    /// The transaction of an event.
    Event,
}

impl Kind {
    pub(crate) const ALL: [Kind; 13] = [
        Kind::Page,
        Kind::Estimate,
        Kind::Filtered,
        Kind::Walk,
        Kind::Range,
        Kind::FirstRows,
        Kind::Bands,
        Kind::Search,
        Kind::Product,
        Kind::Categories,
        Kind::Sample,
        Kind::Ping,
        Kind::Event,
    ];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Kind::Page => "page",
            Kind::Estimate => "estimate",
            Kind::Filtered => "filtered",
            Kind::Walk => "walk",
            Kind::Range => "range",
            Kind::FirstRows => "loose_index_scan",
            Kind::Bands => "bands",
            Kind::Search => "search",
            Kind::Product => "product",
            Kind::Categories => "categories",
            Kind::Sample => "sample",
            Kind::Ping => "ping",
            Kind::Event => "event",
        }
    }

    /// The span of a statement, by OpenTelemetry's
    /// [conventions for SQL](https://opentelemetry.io/docs/specs/semconv/database/sql/), without text and values. The
    /// driver's protocol is MySQL's, whichever server answers.
    pub(crate) fn span(self) -> Span {
        let (operation, summary) = match self {
            Kind::Ping => ("SELECT", "SELECT _sqlx_migrations"),
            Kind::Estimate => ("EXPLAIN", "EXPLAIN SELECT products"),
            Kind::Event => ("TRANSACTION", "TRANSACTION webhook_events"),
            _ => ("SELECT", "SELECT products"),
        };
        info_span!(
            "sql",
            otel.kind = "client",
            otel.name = summary,
            otel.status_code = Empty,
            db.system.name = "mysql",
            db.operation.name = operation,
            db.query.summary = summary,
            db.response.status_code = Empty,
            farmlokal.db.statement = self.label(),
            db.response.returned_rows = Empty,
            "error.type" = Empty,
        )
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'q> {
    Number(u64),
    Text(&'q str),
    Expression(String),
    Price(Price),
    Time(DateTime<Utc>),
}

/// As SQL spells it. Texts are spelt by their bytes, so that nothing in them is taken for anything else.
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Value::Number(number) => return write!(f, "{number}"),
            Value::Price(price) => return write!(f, "{price}"),
            Value::Time(time) => return write!(f, "TIMESTAMP'{}'", time.format("%Y-%m-%d %H:%M:%S%.3f")),
            Value::Text(text) => text,
            Value::Expression(text) => text.as_str(),
        };
        f.write_str("_utf8mb4 X'")?;
        text.bytes().try_for_each(|byte| write!(f, "{byte:02X}"))?;
        f.write_str("'")
    }
}

/// Bytes of most texts, a value or two spelt out.
const LONG: usize = 512;

/// A `SELECT`, which the database stops at its session's deadline. The text holds no value, so that it is prepared once for each
/// shape; or it holds all of them, [spelt out](Statement::spelt_out).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Statement<'q> {
    pub(crate) kind: Kind,
    pub(crate) text: String,
    pub(crate) values: Vec<Value<'q>>,
    pub(crate) is_prepared: bool,
}

impl<'q> Statement<'q> {
    /// `SELECT`, to be continued.
    pub(crate) fn select(kind: Kind) -> Statement<'q> {
        Statement::begin(kind, "SELECT ")
    }

    /// The first `SELECT` of what is read as of one moment, after the begin of a transaction. To be [spelt out](Self::spelt_out):
    /// what is prepared is one statement at a time.
    pub(crate) fn begin_snapshot(kind: Kind) -> Statement<'q> {
        Statement::begin(kind, "START TRANSACTION READ ONLY; SELECT ")
    }

    /// With its values as part of its text, and not prepared.
    pub(crate) fn spelt_out(self) -> Statement<'q> {
        let mut text = String::with_capacity(2 * self.text.len());
        let mut values = self.values.iter();
        for (nth, words) in self.text.split('?').enumerate() {
            if nth > 0 {
                text.extend(values.next().map(Value::to_string));
            }
            text.push_str(words);
        }
        Statement { kind: self.kind, text, values: Vec::new(), is_prepared: false }
    }

    /// Stopped after `deadline`, whatever the session's is. `self` is a `SELECT`.
    pub(crate) fn within(mut self, dialect: Dialect, deadline: Duration) -> Statement<'q> {
        let (at, words) = match dialect {
            Dialect::MariaDb => (0, format!("SET STATEMENT {} FOR ", statement_deadline(dialect, deadline))),
            Dialect::MySql => {
                ("SELECT".len(), format!(" /*+ MAX_EXECUTION_TIME({}) */", deadline.as_millis().max(1)))
            }
        };
        debug_assert!(self.text.starts_with("SELECT "), "{}", self.text);
        self.text.insert_str(at, &words);
        self
    }

    /// What the optimiser expects to read. It reads a few pages of the index to say so.
    pub(crate) fn explain(kind: Kind) -> Statement<'q> {
        Statement::begin(kind, "EXPLAIN FORMAT=TRADITIONAL SELECT ")
    }

    fn begin(kind: Kind, words: &str) -> Statement<'q> {
        let mut text = String::with_capacity(LONG);
        text.push_str(words);
        Statement { kind, text, values: Vec::with_capacity(8), is_prepared: true }
    }

    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// A placeholder with its value. Prices are cast: compared with a text, a `DECIMAL` would become a float.
    pub(crate) fn bind(&mut self, value: Value<'q>) -> &mut Self {
        self.text.push_str(if matches!(value, Value::Price(_)) { "CAST(? AS DECIMAL(10,2))" } else { "?" });
        self.values.push(value);
        self
    }

    pub(crate) async fn fetch(&self, connection: &mut MySqlConnection) -> Result<Vec<MySqlRow>, sqlx::Error> {
        if !self.is_prepared {
            return sqlx::raw_sql(AssertSqlSafe(self.text.as_str())).fetch_all(connection).await;
        }
        let mut query: Query<'_, sqlx::MySql, MySqlArguments> =
            sqlx::query(AssertSqlSafe(self.text.as_str()));
        for value in &self.values {
            query = match value {
                Value::Number(number) => query.bind(*number),
                Value::Text(text) => query.bind(*text),
                Value::Expression(text) => query.bind(text.as_str()),
                Value::Price(price) => query.bind(*price),
                Value::Time(time) => query.bind(*time),
            };
        }
        query.fetch_all(connection).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_spelt_out_as_it_would_have_been_at_first() {
        let build = |mut statement: Statement<'static>| {
            statement
                .push("a = ")
                .bind(Value::Text("?"))
                .push(" AND price = ")
                .bind(Value::Price(Price::MAX));
            statement.push(" LIMIT ").bind(Value::Number(1));
            statement
        };
        let spelt = build(Statement::select(Kind::Range)).spelt_out();
        assert_eq!(
            spelt.text,
            "SELECT a = _utf8mb4 X'3F' AND price = CAST(99999999.99 AS DECIMAL(10,2)) LIMIT 1"
        );
        assert!(spelt.values.is_empty() && !spelt.is_prepared);
    }

    #[test]
    fn values_are_spelt_so_that_they_stay_values() {
        for (value, spelt) in [
            (Value::Number(u64::MAX), "18446744073709551615"),
            (Value::Price(Price::MAX), "99999999.99"),
            (Value::Time(DateTime::UNIX_EPOCH), "TIMESTAMP'1970-01-01 00:00:00.000'"),
            (Value::Text("a' OR 1\\é"), "_utf8mb4 X'6127204F5220315CC3A9'"),
            (Value::Text(""), "_utf8mb4 X''"),
        ] {
            assert_eq!(value.to_string(), spelt);
        }
    }
}
