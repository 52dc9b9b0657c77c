//! A statement in the making: its text, which depends on the shape of a query only, and the values bound to it.

use chrono::{DateTime, Utc};
use sqlx::{
    AssertSqlSafe, MySqlConnection,
    mysql::{MySqlArguments, MySqlRow},
    query::Query,
};
use tracing::{Span, field::Empty, info_span};

use crate::Price;

/// How far the catalogue has changed: how many transactions have changed it.
pub(crate) const POSITION: &str =
    "SELECT CAST(COALESCE(SUM(changes), 0) AS UNSIGNED) AS position FROM change_counters";

/// What a statement does: the label of its metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A page that one index serves.
    Page,
    /// The products that the search index found, and how far the catalogue has changed.
    Found,
    /// What the search index reads: all products, or what changed.
    Index,
    Product,
    Categories,
    /// How far the catalogue has changed, and no more.
    Position,
    Ping,
    /// The transaction of an event.
    Event,
    /// The transaction of a batch of writes.
    Write,
}

impl Kind {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Kind::Page => "page",
            Kind::Found => "found",
            Kind::Index => "index",
            Kind::Product => "product",
            Kind::Categories => "categories",
            Kind::Position => "position",
            Kind::Ping => "ping",
            Kind::Event => "event",
            Kind::Write => "write",
        }
    }

    /// The span of a statement, by OpenTelemetry's
    /// [conventions for SQL](https://opentelemetry.io/docs/specs/semconv/database/sql/), without text and values. The
    /// driver's protocol is MySQL's, whichever server answers.
    pub(crate) fn span(self) -> Span {
        let (operation, summary) = match self {
            Kind::Ping => ("SELECT", "SELECT _sqlx_migrations"),
            Kind::Position => ("SELECT", "SELECT change_counters"),
            Kind::Event => ("TRANSACTION", "TRANSACTION webhook_events"),
            Kind::Write => ("TRANSACTION", "TRANSACTION products"),
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
    Price(Price),
    Time(DateTime<Utc>),
}

/// A `SELECT`, which the database stops at its session's deadline. The text holds no value, so that it is prepared once for each
/// shape.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Statement<'q> {
    pub(crate) kind: Kind,
    pub(crate) text: String,
    pub(crate) values: Vec<Value<'q>>,
}

impl<'q> Statement<'q> {
    /// `SELECT`, to be continued.
    pub(crate) fn select(kind: Kind) -> Statement<'q> {
        Statement { kind, text: "SELECT ".to_owned(), values: Vec::new() }
    }

    /// The same, and how far the catalogue had changed at the moment of its rows, as the last column.
    pub(crate) fn with_position(&self) -> Statement<'q> {
        // The products that an index found have that column already.
        let position = if self.kind == Kind::Found { String::new() } else { format!(", ({POSITION})") };
        Statement { text: self.text.replacen(" FROM ", &(position + " FROM "), 1), ..self.clone() }
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
        let mut query: Query<'_, sqlx::MySql, MySqlArguments> =
            sqlx::query(AssertSqlSafe(self.text.as_str()));
        for value in &self.values {
            query = match value {
                Value::Number(number) => query.bind(*number),
                Value::Text(text) => query.bind(*text),
                Value::Price(price) => query.bind(*price),
                Value::Time(time) => query.bind(*time),
            };
        }
        query.fetch_all(connection).await
    }
}
