use super::*;
use chrono::DateTime;
use std::collections::{HashMap, HashSet};
use unicode_normalization::is_nfc;

const SEED: u64 = 1;

fn rows(ids: impl IntoIterator<Item = u64>) -> Vec<Product> {
    let products = Products::new(SEED).unwrap();
    ids.into_iter().map(|id| products.product(id)).collect()
}

#[test]
fn a_row_depends_on_the_seed_and_its_id_alone() {
    let forwards = rows(1..=500);
    let mut backwards = rows((1..=500).rev());
    backwards.reverse();
    assert_eq!(forwards, backwards);
    assert_ne!(forwards[0].name, Products::new(SEED + 1).unwrap().product(1).name);
}

/// After an intended change, put the new number into `GENERATOR`. Catalogues of the old generator are then not continued.
#[test]
fn the_generator_is_named_by_its_rows() {
    let sample = rows((1..=64).map(|n| n * n * n));
    assert_eq!(xxhash_rust::xxh3::xxh3_64(format!("{sample:?}").as_bytes()), GENERATOR);
}

#[test]
fn every_row_fits_its_columns() {
    for product in rows((1..=3_000_000).step_by(97)) {
        assert!(product.name.chars().count() <= 255, "{product:?}");
        assert!((25..=220).contains(&product.description.chars().count()), "{product:?}");
        assert!(product.price.cents() >= 19, "{product:?}");
        assert!(product.created_at <= product.updated_at, "{product:?}");
        assert!(
            product.updated_at < DateTime::parse_from_rfc3339("2027-06-01T00:00:00Z").unwrap(),
            "{product:?}"
        );
    }
}

/// As the catalogue stores text of any origin.
#[test]
fn every_text_is_composed_trimmed_and_printable() {
    for product in rows((1..=3_000_000).step_by(41)) {
        for text in [&product.name, &product.description, &product.category] {
            assert!(is_nfc(text), "{product:?}");
            assert_eq!(text.trim(), text, "{product:?}");
            assert!(!text.chars().any(|c| c.is_control() || (c.is_whitespace() && c != ' ')), "{product:?}");
        }
    }
}

#[test]
fn every_column_has_ties() {
    let rows = rows(1..=20_000);
    let distinct = |of: &dyn Fn(&Product) -> String| rows.iter().map(of).collect::<HashSet<_>>().len();
    assert!(distinct(&|row| row.name.clone()) < 19_500);
    assert!(distinct(&|row| row.price.to_string()) < 5_000);
    assert!(distinct(&|row| row.created_at.to_string()) < 18_000);
    assert_eq!(distinct(&|row| row.category.clone()), categories().unwrap().len());
}

#[test]
fn words_have_a_natural_frequency() {
    let rows = rows((1..=1_000_000).step_by(10));
    let mut frequency: HashMap<String, usize> = HashMap::new();
    for row in &rows {
        let text = format!("{} {}", row.name, row.description).to_lowercase();
        let words: HashSet<&str> =
            text.split(|c: char| !c.is_alphanumeric()).filter(|w| w.len() > 3).collect();
        for word in words {
            *frequency.entry(word.to_owned()).or_default() += 1;
        }
    }
    let mut ranked: Vec<_> = frequency.iter().map(|(word, &rows)| (rows, word.as_str())).collect();
    ranked.sort_unstable();
    ranked.reverse();
    let share = |rows: usize| rows * 100 / 100_000;
    let top: Vec<_> = ranked.iter().take(30).collect();
    assert!((25..=45).contains(&share(ranked[0].0)), "{top:?}");
    assert!(ranked.len() > 8_000, "{}", ranked.len());
    assert!(ranked[ranked.len() / 2].0 < 20, "{:?}", ranked[ranked.len() / 2]);
    for (word, at_least) in
        [("ball", 500), ("football", 100), ("käse", 0), ("bergkäse", 50), ("jalapeño", 100)]
    {
        assert!(frequency.get(word).copied().unwrap_or_default() >= at_least, "{word}");
    }
}

#[test]
fn the_documented_requests_find_plenty() {
    let rows = rows((1..=1_000_000).step_by(10));
    let dear_sports =
        rows.iter().filter(|row| row.category == "sports" && row.price.cents() >= 10_000).count();
    assert!(dear_sports > 500, "{dear_sports}");
    for token in ["XL", "2L", "1kg", "5m"] {
        let found = rows.iter().filter(|row| row.name.split([' ', ',']).any(|word| word == token)).count();
        assert!(found > 100, "{token}: {found}");
    }
}
