//! A list query: what is listed, in which order, from where on.

use xxhash_rust::xxh3::Xxh3Default;

use crate::{
    Categories, Category, Cursor, Level, Position, Price, PriceRange, Product, SearchText, SortValue,
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
    /// By how well a product matches the search: the default with a search, and only there.
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
            Order::Asc => " ASC",
            Order::Desc => " DESC",
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
    /// Only these categories.
    pub categories: Categories,
    /// Only prices in this range.
    pub prices: PriceRange,
    /// Only products that match this search in name or description.
    pub search: Option<SearchText>,
}

/// What an answer has beside its products. By default nothing.
#[expect(clippy::struct_excessive_bools, reason = "each is asked for by itself")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Include {
    /// How many products match, all pages together.
    pub total: bool,
    /// How many products each category would give, its own filter left out.
    pub category_facet: bool,
    /// The same for ranges of prices.
    pub price_facet: bool,
    /// The pieces of name and description that match the search.
    pub highlights: bool,
}

/// A valid list query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    filter: Filter,
    sort: Sort,
    order: Order,
    limit: Limit,
    include: Include,
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
            include: Include::default(),
            after: None,
        }
    }
}

impl ListQuery {
    /// The first page of these products. Without a sort or an order it has the default one.
    pub fn new(filter: Filter, sort: Option<Sort>, order: Option<Order>) -> Result<ListQuery, NothingToRank> {
        let searches = filter.search.is_some();
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

    /// The same with more in the answer.
    #[must_use]
    pub fn with(self, include: Include) -> ListQuery {
        ListQuery { include, ..self }
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

    /// The cursor of the page that follows this product in a list without a search.
    #[must_use]
    pub fn cursor_after(&self, product: &Product) -> Cursor {
        self.cursor_after_match(product, 0, Level::AsWritten)
    }

    /// The cursor of the page that follows this product, which a search found with this relevance at this level.
    #[must_use]
    pub fn cursor_after_match(&self, product: &Product, relevance: u32, level: Level) -> Cursor {
        let value = SortValue::of(product, relevance, self.sort);
        self.cursor_of(Position { value, id: product.id, level })
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
        let search = self.filter.search.as_ref().map(SearchText::as_str);
        for text in self.filter.categories.as_slice().iter().map(Category::as_str).chain(search) {
            hash.update(&text.len().to_be_bytes());
            hash.update(text.as_bytes());
        }
        hash.update(&[u8::from(search.is_some())]);
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

    /// What the answer has beside its products.
    #[must_use]
    pub fn include(&self) -> Include {
        self.include
    }

    /// Whether one index of the database has these products in this order, so that SQL answers the list. The search index
    /// answers every other.
    #[must_use]
    pub fn is_served_by_one_index(&self) -> bool {
        let Filter { categories, prices, search } = &self.filter;
        let in_order = prices.is_all() || self.sort == Sort::Price;
        search.is_none() && categories.as_slice().len() <= 1 && in_order && self.include == Include::default()
    }

    /// The category, where there is one only.
    pub(crate) fn category(&self) -> Option<&str> {
        self.filter.categories.as_slice().first().map(Category::as_str)
    }

    /// The lowest and the highest price.
    pub(crate) fn prices(&self) -> (Price, Price) {
        (self.filter.prices.lowest(), self.filter.prices.highest())
    }

    /// The rows to ask for: one more than the page shows whether there is another page.
    #[must_use]
    pub fn rows(&self) -> u64 {
        u64::from(self.limit.get()) + 1
    }

    /// The position after which this page starts; `None` for the first page.
    #[must_use]
    pub fn after(&self) -> Option<&Position> {
        self.after.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EmptyPriceRange, InvalidSearch, InvalidText, TooManyCategories, tests::query};

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
        assert_eq!(Category::new("  "), Err(InvalidText::Empty));
        assert_eq!(Category::new(&"é".repeat(65)), Err(InvalidText::TooLong(64)));
        assert_eq!(Category::new(&"é".repeat(64)).unwrap().as_str().chars().count(), 64);
        assert_eq!(Category::new(" cafe\u{301} "), Category::new("café"));
        assert_eq!(Category::new("a\0"), Err(InvalidText::Control));
        let categories = |count: u32| (0..count).map(|n| Category::new(&format!("c{n}")).unwrap()).collect();
        assert_eq!(Categories::new(categories(21)), Err(TooManyCategories));
        assert_eq!(Categories::new(categories(20)).unwrap().as_slice().len(), 20);
        assert_eq!(SearchText::new(" -*, "), Err(InvalidSearch::NoWords));
        assert_eq!(SearchText::new(&"a".repeat(256)), Err(InvalidSearch::TooLong));
        // Too long as it comes, whatever is left of it.
        assert_eq!(SearchText::new(&format!("a{}", " ".repeat(255))), Err(InvalidSearch::TooLong));
        assert_eq!(SearchText::new(" XL\tBall\n").unwrap().as_str(), "xl ball");
        assert!(SearchText::new("🍅").is_ok());
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
            query(&[("category", "a"), ("category", "b")]),
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
            position: Position { value: SortValue::Id, id: 1, level: Level::AsWritten },
            fingerprint: Some(list.fingerprint()),
        };
        assert_eq!(list.at(&forged), Err(CursorMismatch));
    }
}
