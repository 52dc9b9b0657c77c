//! A search index outside of the processes: the database says where it is and how far, and which process writes it.

use std::{sync::Arc, time::Duration};

use sqlx::{MySqlConnection, Row as _, mysql::MySqlRow};

use crate::{
    Catalog, ChangePosition, Changes, Error,
    changes::{changes, told},
    reader::Database,
    statement::{Kind, POSITION, Statement, Value},
};

/// The index that searches go to, as of one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexPointer {
    /// Its name; `None` before the first one is built.
    pub name: Option<String>,
    /// The [sum](ChangePosition::sum) of a position up to which it has all changes.
    pub noted: u64,
    /// The [sum](ChangePosition::sum) of the database's own position.
    pub database: u64,
}

/// The right to write the index, and to say where it is. It is a lock of one connection, on which everything here runs: whoever has
/// lost it can say nothing any more.
pub struct IndexWriter {
    database: Arc<Database>,
    connection: MySqlConnection,
}

impl Catalog {
    /// Where searches go, by the primary.
    pub async fn index_pointer(&self) -> Result<IndexPointer, Error> {
        let text = format!(
            "SELECT position, name, counters FROM ({POSITION}) AS now LEFT JOIN search_index ON id = 1"
        );
        let rows = self.fetch(&Statement { kind: Kind::Position, text, values: Vec::new() }).await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        let noted = row.try_get::<Option<&str>, _>(2)?.and_then(ChangePosition::of_text);
        let noted = noted.map_or(0, |noted| noted.sum());
        Ok(IndexPointer { database: row.try_get(0)?, name: row.try_get(1)?, noted })
    }

    /// The right to write, once no other process has it.
    pub async fn index_writer(&self) -> Result<IndexWriter, Error> {
        let database = Arc::clone(&self.index_database);
        let connection = database.pool().connect().await?;
        let mut writer = IndexWriter { database, connection };
        // A node that lost its power or its network says nothing: after so many seconds another process may write.
        writer.run("SET SESSION wait_timeout = 30", Vec::new()).await?;
        // Locks are the server's, not the database's, and their names have 64 characters at the most. The server waits for less
        // than a statement may take.
        let lock = "SELECT GET_LOCK(CONCAT('farmlokal-search-', LEFT(SHA2(DATABASE(), 256), 40)), 10)";
        loop {
            let rows = writer.run(lock, Vec::new()).await?;
            if rows.first().map_or(Ok(None), |row| row.try_get::<Option<i64>, _>(0))? == Some(1) {
                return Ok(writer);
            }
        }
    }
}

impl IndexWriter {
    /// The name of the index, how far it is, and how long ago that was [noted](Self::note); `None` where that cannot be read, too.
    pub async fn index(&mut self) -> Result<Option<(String, ChangePosition, Duration)>, Error> {
        let noted = "SELECT name, counters, TIMESTAMPDIFF(SECOND, noted_at, UTC_TIMESTAMP()) FROM search_index WHERE id = 1";
        let rows = self.run(noted, Vec::new()).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (name, age) = (row.try_get(0)?, row.try_get::<i64, _>(2)?.try_into().unwrap_or(0));
        Ok(ChangePosition::of_text(row.try_get(1)?)
            .map(|position| (name, position, Duration::from_secs(age))))
    }

    /// As [`Catalog::changes_since`].
    pub async fn changes_since(&mut self, seen: &ChangePosition) -> Result<Changes, Error> {
        told(self.database.answer(&changes(seen), &mut self.connection).await?, seen)
    }

    /// Sends searches to this index from now on, which has all changes up to this position.
    pub async fn note(&mut self, name: &str, position: &ChangePosition) -> Result<(), Error> {
        let counters = position.to_text();
        let replace =
            "REPLACE INTO search_index (id, name, counters, noted_at) VALUES (1, ?, ?, UTC_TIMESTAMP())";
        self.run(replace, vec![Value::Text(name), Value::Text(&counters)]).await.map(drop)
    }

    async fn run(&mut self, text: &str, values: Vec<Value<'_>>) -> Result<Vec<MySqlRow>, Error> {
        let statement = Statement { kind: Kind::Index, text: text.to_owned(), values };
        Ok(self.database.answer(&statement, &mut self.connection).await?)
    }
}
