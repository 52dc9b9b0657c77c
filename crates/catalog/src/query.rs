//! A list query: what is listed, in which order, from where on.

use xxhash_rust::xxh3::Xxh3Default;

use crate::{
    Category, Cursor, Price, PriceRange, Product, Words,
    cursor::{Position, SortValue},
};

/// What a list is ordered by. Equal values are ordered by id, in the same direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sort {
    /// By id: the default without words.
    Id,
    /// By price.
    Price,
    /// By name, as the collation compares.
    Name,
    /// By time of creation.
    CreatedAt,
    /// By how many of the searched words are in the name: the default with words, and only there.
    Relevance,
}

impl Sort {
    /// In the order of their numbers in cursors.
    pub(crate) const ALL: [Sort; 5] = [Sort::Id, Sort::Price, Sort::Name, Sort::CreatedAt, Sort::Relevance];
}

/// The direction of a sort: ascending by default, descending for relevance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Smallest first.
    Asc,
    /// Greatest first.
    Desc,
}

impl Order {
    pub(crate) fn sql(self) -> &'static str {
        match self {
            Order::Asc => "ASC",
            Order::Desc => "DESC",
        }
    }

    pub(crate) fn reversed(self) -> Order {
        match self {
            Order::Asc => Order::Desc,
            Order::Desc => Order::Asc,
        }
    }

    /// How what comes later compares.
    pub(crate) fn beyond(self) -> &'static str {
        match self {
            Order::Asc => " > ",
            Order::Desc => " < ",
        }
    }
}

/// How many products a page holds at the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(u32);

impl Limit {
    /// 1
    pub const MIN: Limit = Limit(1);
    /// 100
    pub const MAX: Limit = Limit(100);

    /// So many, if that is from [`Limit::MIN`] to [`Limit::MAX`].
    #[must_use]
    pub fn new(products: u32) -> Option<Limit> {
        (Limit::MIN.0..=Limit::MAX.0).contains(&products).then_some(Limit(products))
    }

    /// As a number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for Limit {
    fn default() -> Limit {
        Limit(20)
    }
}

/// Which products are listed: those that match all of it. By default all are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this category.
    pub category: Option<Category>,
    /// Only prices in this range.
    pub prices: PriceRange,
    /// Only products that have all these words in name or description.
    pub words: Words,
}

/// A valid list query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    filter: Filter,
    sort: Sort,
    order: Order,
    limit: Limit,
    after: Option<Position>,
}

/// Relevance orders what a search finds, and there is no search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("relevance needs a search")]
pub struct NothingToRank;

/// The cursor belongs to another sort, order or filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("belongs to another sort, order or filter")]
pub struct CursorMismatch;

/// All products by id, from the first on.
impl Default for ListQuery {
    fn default() -> ListQuery {
        ListQuery {
            filter: Filter::default(),
            sort: Sort::Id,
            order: Order::Asc,
            limit: Limit::default(),
            after: None,
        }
    }
}

impl ListQuery {
    /// The first page of these products. Without a sort or an order it has the default one.
    pub fn new(filter: Filter, sort: Option<Sort>, order: Option<Order>) -> Result<ListQuery, NothingToRank> {
        let searches = !filter.words.as_slice().is_empty();
        let sort = sort.unwrap_or(if searches { Sort::Relevance } else { Sort::Id });
        if sort == Sort::Relevance && !searches {
            return Err(NothingToRank);
        }
        let order = order.unwrap_or(if sort == Sort::Relevance { Order::Desc } else { Order::Asc });
        Ok(ListQuery { filter, sort, order, ..ListQuery::default() })
    }

    /// The same with pages of this size.
    #[must_use]
    pub fn with_limit(self, limit: Limit) -> ListQuery {
        ListQuery { limit, ..self }
    }

    /// The page that starts at this cursor.
    pub fn at(self, cursor: &Cursor) -> Result<ListQuery, CursorMismatch> {
        let is_of_query = cursor.fingerprint.is_none_or(|of| of == self.fingerprint());
        if !is_of_query || cursor.position.value.sort() != self.sort {
            return Err(CursorMismatch);
        }
        Ok(ListQuery { after: Some(cursor.position.clone()), ..self })
    }

    /// The cursor that this page starts at; `None` for the first page.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        self.after.clone().map(|position| self.cursor_of(position))
    }

    /// The cursor of the page that follows this product, in any order but by relevance.
    #[must_use]
    pub fn cursor_after(&self, product: &Product) -> Cursor {
        self.cursor_after_ranked(product, 0)
    }

    pub(crate) fn cursor_after_ranked(&self, product: &Product, relevance: u32) -> Cursor {
        let value = SortValue::of(product, relevance, self.sort);
        self.cursor_of(Position { value, id: product.id })
    }

    fn cursor_of(&self, position: Position) -> Cursor {
        Cursor { fingerprint: Some(self.fingerprint()), position }
    }

    /// What a cursor is bound to: everything that decides which rows come in which order, so not the limit.
    fn fingerprint(&self) -> u64 {
        let mut hash = Xxh3Default::new();
        hash.update(&[self.sort as u8, self.order as u8]);
        let (lowest, highest) = self.prices();
        hash.update(&lowest.cents().to_be_bytes());
        hash.update(&highest.cents().to_be_bytes());
        // Their lengths separate the texts.
        for text in self.category().into_iter().chain(self.words().iter().map(String::as_str)) {
            hash.update(&text.len().to_be_bytes());
            hash.update(text.as_bytes());
        }
        hash.update(&[u8::from(self.filter.category.is_some())]);
        hash.digest()
    }

    /// What the list is ordered by.
    #[must_use]
    pub fn sort(&self) -> Sort {
        self.sort
    }

    /// In which direction.
    #[must_use]
    pub fn order(&self) -> Order {
        self.order
    }

    /// How many products a page holds at the most.
    #[must_use]
    pub fn limit(&self) -> Limit {
        self.limit
    }

    /// Which products are listed.
    #[must_use]
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    pub(crate) fn category(&self) -> Option<&str> {
        self.filter.category.as_ref().map(Category::as_str)
    }

    pub(crate) fn words(&self) -> &[String] {
        self.filter.words.as_slice()
    }

    /// The lowest and the highest price.
    pub(crate) fn prices(&self) -> (Price, Price) {
        (self.filter.prices.lowest(), self.filter.prices.highest())
    }

    /// The rows to ask for: one more than the page shows whether there is another page.
    pub(crate) fn rows(&self) -> u64 {
        u64::from(self.limit.get()) + 1
    }

    pub(crate) fn after(&self) -> Option<&Position> {
        self.after.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EmptyPriceRange, InvalidCategory, InvalidText, InvalidWords, tests::query};

    #[test]
    fn has_defaults() {
        let list = ListQuery::default();
        assert_eq!((list.sort(), list.order(), list.limit().get()), (Sort::Id, Order::Asc, 20));
        assert_eq!(ListQuery::new(Filter::default(), None, None), Ok(list));
        let search = query(&[("search", "ball")]);
        assert_eq!((search.sort(), search.order()), (Sort::Relevance, Order::Desc));
        assert_eq!(ListQuery::new(Filter::default(), Some(Sort::Relevance), None), Err(NothingToRank));
    }

    #[test]
    fn bounds_are_part_of_the_types() {
        assert_eq!([0, 1, 100, 101].map(|limit| Limit::new(limit).is_some()), [false, true, true, false]);
        let price = |cents| Price::from_cents(cents);
        assert_eq!(PriceRange::new(price(2), price(1)), Err(EmptyPriceRange));
        assert_eq!(PriceRange::new(Some(Price::MIN), Some(Price::MAX)), Ok(PriceRange::default()));
        assert_eq!(Category::new("  "), Err(InvalidCategory::Empty));
        assert_eq!(Category::new(&"é".repeat(65)), Err(InvalidCategory::TooLong));
        assert_eq!(Category::new(&"é".repeat(64)).unwrap().as_str().chars().count(), 64);
        assert_eq!(Category::new(" cafe\u{301} "), Category::new("café"));
        assert_eq!(Category::new("a\0"), Err(InvalidCategory::NotStored(InvalidText::Control)));
        assert_eq!(Words::new("+-*"), Err(InvalidWords::None));
        assert_eq!(Words::new(&"a".repeat(201)), Err(InvalidWords::TooLong));
        // In lower case this search has 300 characters.
        assert_eq!(Words::new(&"İ".repeat(150)), Err(InvalidWords::TooLong));
        assert_eq!(Words::new("a b c d e f g h i j k l m n o p q"), Err(InvalidWords::TooMany));
        assert_eq!(Words::new("XL ball"), Words::new("BALL  xl, ball"));
    }

    #[test]
    fn a_cursor_belongs_to_every_part_of_its_query() {
        let product = Product {
            id: 7,
            name: "Apple".to_owned(),
            description: String::new(),
            category: "fruit".to_owned(),
            price: "1.50".parse().unwrap(),
            created_at: chrono::DateTime::UNIX_EPOCH,
            updated_at: chrono::DateTime::UNIX_EPOCH,
        };
        let queries = [
            query(&[]),
            query(&[("order", "desc")]),
            query(&[("sort", "name")]),
            query(&[("sort", "price")]),
            query(&[("sort", "createdAt")]),
            query(&[("search", "a")]),
            query(&[("search", "b")]),
            query(&[("search", "a"), ("category", "b"), ("sort", "id")]),
            query(&[("search", "a b"), ("sort", "id")]),
            query(&[("category", "a")]),
            query(&[("minPrice", "1")]),
            query(&[("maxPrice", "1")]),
        ];
        for one in &queries {
            let cursor: Cursor = one.cursor_after(&product).to_string().parse().unwrap();
            for other in &queries {
                assert_eq!(other.clone().at(&cursor).is_ok(), one == other, "{one:?} -> {other:?}");
            }
            let longer = one.clone().with_limit(Limit::MAX).at(&cursor).unwrap();
            assert_eq!(longer.cursor(), Some(cursor));
        }
    }

    #[test]
    fn a_plain_id_is_a_cursor_of_every_list_by_id() {
        let plain: Cursor = "1000".parse().unwrap();
        for list in [query(&[]), query(&[("order", "desc")]), query(&[("category", "a")])] {
            let page = list.clone().at(&plain).unwrap();
            assert_eq!(list.at(&page.cursor().unwrap()), Ok(page));
        }
        assert_eq!(query(&[("sort", "price")]).at(&plain), Err(CursorMismatch));
    }

    /// As a forged token can: it is no secret how one is made.
    #[test]
    fn a_cursor_of_another_sort_with_the_right_fingerprint_is_refused() {
        let list = query(&[("sort", "name")]);
        let forged = Cursor {
            position: Position { value: SortValue::Id, id: 1 },
            fingerprint: Some(list.fingerprint()),
        };
        assert_eq!(list.at(&forged), Err(CursorMismatch));
    }
}
