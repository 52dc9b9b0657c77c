use sqlx::Arguments as _;
use sqlx::error::BoxDynError;
use sqlx::mysql::MySqlArguments;

use crate::{MAX_PRODUCT_ID, Product};

const COLUMNS: [&str; 7] = ["id", "name", "description", "category", "price", "created_at", "updated_at"];

/// A prepared statement takes at most 65,535 values.
const MOST_ROWS: usize = 65_535 / COLUMNS.len();

/// Products, encoded as the values of INSERT statements. Encoding takes the client's time and not the connection's, so
/// it is done while another batch is being inserted.
pub struct Batch(pub(super) Vec<Rows>);

/// The rows of one statement.
pub(super) struct Rows {
    pub arguments: MySqlArguments,
    pub count: usize,
}

impl Batch {
    /// Encodes any number of products, whose ids rise, as few statements of nearly equal size.
    ///
    /// # Errors
    /// An id above [`MAX_PRODUCT_ID`], or a value that the protocol cannot carry.
    pub fn encode(products: &[Product]) -> Result<Batch, sqlx::Error> {
        let statements = products.len().div_ceil(MOST_ROWS).max(1);
        let rows = products.len().div_ceil(statements).max(1);
        let encoded = products.chunks(rows).map(Rows::encode).collect::<Result<_, _>>();
        encoded.map(Batch).map_err(sqlx::Error::Encode)
    }
}

impl Rows {
    fn encode(products: &[Product]) -> Result<Rows, BoxDynError> {
        let mut arguments = MySqlArguments::default();
        arguments.reserve(products.len() * COLUMNS.len(), products.len() * 400);
        for product in products {
            if product.id > MAX_PRODUCT_ID {
                return Err(format!("{} is above the highest id of a product", product.id).into());
            }
            arguments.add(product.id)?;
            arguments.add(product.name.as_str())?;
            arguments.add(product.description.as_str())?;
            arguments.add(product.category.as_str())?;
            arguments.add(product.price)?;
            arguments.add(product.created_at)?;
            arguments.add(product.updated_at)?;
        }
        Ok(Rows { arguments, count: products.len() })
    }
}

pub(super) fn insert_statement(table: &str, rows: usize) -> String {
    let row = format!("({})", ["?"; COLUMNS.len()].join(","));
    format!("INSERT INTO {table} ({}) VALUES {}", COLUMNS.join(", "), vec![row; rows].join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_is_not_exact_in_json_is_not_loaded() {
        let product = |id| Product {
            id,
            name: "Apple".to_owned(),
            description: String::new(),
            category: "fruit".to_owned(),
            price: crate::Price::MIN,
            created_at: chrono::DateTime::UNIX_EPOCH,
            updated_at: chrono::DateTime::UNIX_EPOCH,
        };
        assert!(Batch::encode(&[product(MAX_PRODUCT_ID)]).is_ok());
        assert!(Batch::encode(&[product(1), product(MAX_PRODUCT_ID + 1)]).is_err());
    }
}
