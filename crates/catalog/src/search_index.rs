//! A search index outside of the processes: the database says where it is and how far, and which process writes it.

use std::{sync::Arc, time::Duration};

use sqlx::{MySqlConnection, Row as _, mysql::MySqlRow};

use crate::{
    Catalog, ChangePosition, Changes, Error,
    changes::{changes, told},
    config::set,
    reader::Database,
    statement::{Kind, POSITION, Statement, Value},
};

/// After so long without a word the server ends the writer's connection, and another process may write. A node that lost its power
/// or its network says nothing.
const SILENCE: Duration = Duration::from_secs(30);

/// The index that searches go to, as of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
            "SELECT position, name, changes FROM ({POSITION}) AS counters LEFT JOIN search_index ON id = 1"
        );
        let rows = self.fetch(&Statement { kind: Kind::Position, text, values: Vec::new() }).await?;
        let Some(row) = rows.first() else { return Ok(IndexPointer::default()) };
        let noted: Option<u64> = row.try_get(2)?;
        Ok(IndexPointer { database: row.try_get(0)?, name: row.try_get(1)?, noted: noted.unwrap_or(0) })
    }

    /// The right to write, unless another process has it.
    pub async fn index_writer(&self) -> Result<Option<IndexWriter>, Error> {
        let database = Arc::clone(&self.index_database);
        let connection = database.pool().connect().await?;
        let mut writer = IndexWriter { database, connection };
        set(&mut writer.connection, &format!("wait_timeout = {}", SILENCE.as_secs())).await?;
        // Locks are the server's, not the database's, and their names have 64 characters at the most.
        let lock = "SELECT GET_LOCK(CONCAT('farmlokal-search-', LEFT(SHA2(DATABASE(), 256), 40)), 0)";
        let rows = writer.run(lock, Vec::new()).await?;
        let locked = rows.first().map(|row| row.try_get::<Option<i64>, _>(0)).transpose()?.flatten();
        Ok((locked == Some(1)).then_some(writer))
    }
}

impl IndexWriter {
    /// The name of the index and how far it is; `None` where that cannot be read, too.
    pub async fn index(&mut self) -> Result<Option<(String, ChangePosition)>, Error> {
        let rows = self.run("SELECT name, counters FROM search_index WHERE id = 1", Vec::new()).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let position = ChangePosition::of_text(row.try_get(1)?);
        Ok(Some(row.try_get(0)?).zip(position))
    }

    /// As [`Catalog::changes_since`].
    pub async fn changes_since(&mut self, seen: &ChangePosition) -> Result<Changes, Error> {
        told(&self.database.answer(&changes(seen), &mut self.connection).await?, seen)
    }

    /// Sends searches to this index from now on, which has all changes up to this position.
    pub async fn note(&mut self, name: &str, position: &ChangePosition) -> Result<(), Error> {
        let counters = position.to_text();
        let values = vec![Value::Text(name), Value::Number(position.sum()), Value::Text(&counters)];
        let replace = "REPLACE INTO search_index (id, name, changes, counters) VALUES (1, ?, ?, ?)";
        self.run(replace, values).await.map(drop)
    }

    async fn run(&mut self, text: &str, values: Vec<Value<'_>>) -> Result<Vec<MySqlRow>, Error> {
        let statement = Statement { kind: Kind::Index, text: text.to_owned(), values };
        Ok(self.database.answer(&statement, &mut self.connection).await?)
    }
}
