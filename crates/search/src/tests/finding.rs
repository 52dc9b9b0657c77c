//! What is found by which words.

use farmlokal_catalog::{Level, SearchText};
use proptest::prelude::*;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory as _};

use super::{apply, engine, fill, found, ids, row};
use crate::{
    Engine, EngineError, Synonyms,
    analysis::{Word, words},
};

async fn with_names(names: &[&str]) -> Option<impl Engine> {
    let engine = engine("")?;
    fill(&engine, (1..).zip(names).map(|(id, name)| row(id, name)).collect()).await;
    Some(engine)
}

#[tokio::test]
async fn every_script_is_found_by_its_own_name_and_by_parts_of_it() {
    let names = [
        "ताज़ा टमाटर",
        "ತಾಜಾ ಟೊಮೆಟೊ",
        "புதிய தக்காளி",
        "తాజా టమాటా",
        "ข้าวหอมมะลิ",
        "有机西红柿",
        "신선한 토마토",
        "新鮮なトマト",
        "Crème brûlée",
        "Straße",
        "ΦΈΤΑ",
        "Ёлка",
        "🍅🧅",
        "€",
        "ﬁg ½",
        "ｱｯﾌﾟﾙ",
        "סברס",
        "طماطم",
        "´¯",
    ];
    let Some(engine) = with_names(&names).await else { return };
    for (text, id) in [
        ("टमाटर", 1),
        ("ताजा", 0),
        ("ತಾಜಾ", 2),
        ("தக்காளி", 3),
        ("టమాటా", 4),
        ("ข้าว", 5),
        ("มะลิ", 5),
        ("西红柿", 6),
        ("柿", 6),
        ("토마토", 7),
        ("トマト", 8),
        ("creme brulee", 9),
        ("CRÈME", 9),
        ("strasse", 10),
        ("STRASSE", 10),
        ("φετα", 11),
        ("ФЕ", 0),
        ("елка", 12),
        ("🍅", 13),
        ("🧅", 13),
        ("€", 14),
        ("fig", 15),
        ("アップル", 16),
        ("סברס", 17),
        ("طماطم", 18),
        ("ता\u{200d}ज़ा टमा\u{ad}टर", 1),
        ("ताज\u{93c}ा", 1),
    ] {
        let expected = if id == 0 { vec![] } else { vec![id] };
        let found = found(&engine, text).await;
        let ids: Vec<u64> =
            found.matches.iter().filter(|_| found.level == Level::AsWritten).map(|one| one.id).collect();
        assert_eq!(ids, expected, "{text}");
    }
}

#[tokio::test]
async fn singular_plural_and_units_find_the_same() {
    let names =
        ["Tomato", "Cherry tomatoes", "Rice 1 kg", "Rice 1kg", "Shirt XL", "Milk 2L", "Farmer's cheese"];
    let Some(engine) = with_names(&names).await else { return };
    for text in ["tomato", "tomatoes", "TOMATO"] {
        let mut ids = ids(&engine, text).await;
        ids.sort_unstable();
        assert_eq!(ids, [1, 2], "{text}");
    }
    for text in ["1kg", "1 kg", "rice 1 KG"] {
        let mut ids = ids(&engine, text).await;
        ids.sort_unstable();
        assert_eq!(ids, [3, 4], "{text}");
    }
    for (text, id) in [
        ("xl", 5),
        ("2l", 6),
        ("2 l", 6),
        ("farmers cheese", 7),
        ("farmer's", 7),
        ("farmer", 7),
        ("cheeses", 7),
    ] {
        assert_eq!(ids(&engine, text).await, [id], "{text}");
    }
}

#[tokio::test]
async fn forgives_only_where_the_whole_catalogue_has_nothing() {
    let names = [
        "Strawberry jam",
        "Strawberries",
        "Straw hat",
        "Cheddar cheese",
        "Abc1234",
        "Lentils",
        "Cherries",
        "Onion",
    ];
    let Some(engine) = with_names(&names).await else { return };
    let level = async |text: &str| {
        let found = found(&engine, text).await;
        let corrections = found.corrections.into_iter().map(|one| (one.word, one.found)).collect::<Vec<_>>();
        let mut ids: Vec<u64> = found.matches.iter().map(|one| one.id).collect();
        ids.sort_unstable();
        (found.level, ids, corrections)
    };
    let corrected = |word: &str, found: &[&str]| {
        vec![(word.to_owned(), found.iter().map(|word| (*word).to_owned()).collect())]
    };
    assert_eq!(level("straw").await, (Level::AsWritten, vec![3], vec![]));
    assert_eq!(level("chedd").await, (Level::Prefix, vec![4], corrected("chedd", &["cheddar"])));
    assert_eq!(level("stra jam").await, (Level::AsWritten, vec![], vec![]));
    assert_eq!(
        level("strwaberry").await,
        (Level::Typos, vec![1, 2], corrected("strwaberry", &["strawberries", "strawberry"]))
    );
    // A typo in the singular where there is the plural only, and the reverse.
    for (text, id, word) in
        [("lentl", 6, "lentils"), ("lentls", 6, "lentils"), ("chery", 7, "cherries"), ("oniosn", 8, "onion")]
    {
        assert_eq!(level(text).await, (Level::Typos, vec![id], corrected(text, &[word])));
    }
    assert_eq!(level("cheder cheese").await, (Level::AsWritten, vec![], vec![]));
    assert_eq!(
        level("chedar chees").await,
        (
            Level::Typos,
            vec![4],
            [corrected("chedar", &["cheddar"]), corrected("chees", &["cheese"])].concat()
        )
    );
    assert_eq!(level("abd1234").await, (Level::AsWritten, vec![], vec![]));
    // What is gone is no correction, and no reason to stay at a level.
    apply(&engine, vec![(3, None), (2, None)]).await;
    let (level, ids, corrections) = level("strawberr").await;
    assert_eq!((level, ids, corrections), (Level::Prefix, vec![1], corrected("strawberr", &["strawberry"])));
}

#[tokio::test]
async fn relevance_puts_names_before_descriptions_and_exact_words_first() {
    let Some(engine) = engine("brinjal, aubergine, egg plant") else { return };
    let described = |id, name: &str, description: &str| {
        let mut row = row(id, name);
        description.clone_into(&mut row.product.description);
        row
    };
    let rows = vec![
        described(1, "Stew", "with brinjal"),
        described(2, "Aubergine", ""),
        described(3, "Brinjals", ""),
        described(4, "Brinjal", ""),
        described(5, "Egg plant", ""),
        described(6, "Egg", "a plant"),
        described(7, "Stew", "with aubergines"),
    ];
    fill(&engine, rows).await;
    assert_eq!(ids(&engine, "brinjal").await, [4, 5, 3, 2, 1, 7]);
    let mut phrase = ids(&engine, "egg plants").await;
    phrase.sort_unstable();
    assert_eq!(phrase, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(ids(&engine, "egg plant").await[0], 5);
}

#[test]
fn a_line_of_synonyms_that_is_wrong_is_named() {
    for (text, line) in [("a, b\n\n# c\nd\n", 4), ("a, b\nc,, d", 2), ("…, a", 1)] {
        assert_eq!(text.parse::<Synonyms>().unwrap_err().line, line, "{text}");
    }
    assert!("a, b # and more\r\n\r\nlady finger, okra".parse::<Synonyms>().is_ok());
}

#[tokio::test]
async fn highlights_whole_words_and_nothing_else() {
    let Some(engine) = engine("okra, lady finger") else { return };
    let mut soup = row(1, "Crème of TOMATOES, 1kg (ข้าวหอมมะลิ) 🍅!");
    soup.product.description = "Lady finger, 北京大米".to_owned();
    fill(&engine, vec![soup.clone()]).await;
    for (text, marked) in [
        ("creme tomato", "[Crème] of [TOMATOES], 1kg (ข้าวหอมมะลิ) 🍅!"),
        ("1 kg", "Crème of TOMATOES, [1kg] (ข้าวหอมมะลิ) 🍅!"),
        ("หอม", "Crème of TOMATOES, 1kg (ข้าว[หอม]มะลิ) 🍅!"),
        ("🍅 toma", "Crème of [TOMATOES], 1kg (ข้าวหอมมะลิ) [🍅]!"),
        ("tomatos", "Crème of [TOMATOES], 1kg (ข้าวหอมมะลิ) 🍅!"),
        ("tomto", "Crème of [TOMATOES], 1kg (ข้าวหอมมะลิ) 🍅!"),
    ] {
        let highlighter = found(&engine, text).await.highlighter.unwrap();
        let mark = |piece: &crate::Piece| {
            if piece.matched { format!("[{}]", piece.text) } else { piece.text.clone() }
        };
        let pieces = highlighter.pieces(&soup.product.name);
        assert_eq!(pieces.iter().map(mark).collect::<String>(), marked, "{text}");
        let pieces: String = pieces.iter().map(|piece| piece.text.as_str()).collect();
        assert_eq!(pieces, soup.product.name);
    }
    let highlighter = found(&engine, "okra 京大").await.highlighter.unwrap();
    let matched: Vec<_> = highlighter
        .pieces(&soup.product.description)
        .into_iter()
        .filter(|piece| piece.matched)
        .map(|piece| piece.text)
        .collect();
    assert_eq!(matched, ["Lady", "finger", "京大"]);
}

#[tokio::test]
async fn suggests_words_that_products_have() {
    let names = ["Cheddar cheese", "Cheese", "Cheesecake", "Organic chèvre", "CHEESE board", "Organic milk"];
    let Some(engine) = with_names(&names).await else { return };
    let suggest = async |text: &str, limit| {
        let (found, _) = engine.suggest(&SearchText::new(text).unwrap(), limit).await.unwrap();
        found.into_iter().map(|one| (one.text, one.products)).collect::<Vec<_>>()
    };
    let expected = |all: &[(&str, u64)]| {
        all.iter().map(|(text, products)| ((*text).to_owned(), *products)).collect::<Vec<_>>()
    };
    assert_eq!(suggest("chee", 8).await, expected(&[("cheese", 3), ("cheesecake", 1)]));
    assert_eq!(suggest("chee", 1).await, expected(&[("cheese", 3)]));
    assert_eq!(suggest("organic che", 8).await, expected(&[("organic chèvre", 1)]));
    assert_eq!(suggest("organics m", 8).await, expected(&[("organics milk", 1)]));
    assert_eq!(suggest("milk che", 8).await, expected(&[]));
    apply(&engine, vec![(2, None), (5, None), (3, Some(row(3, "Cheesecake")))]).await;
    assert_eq!(suggest("chee", 8).await, expected(&[("cheese", 1), ("cheesecake", 1)]));
}

#[tokio::test]
async fn refuses_what_is_not_built() {
    let Some(engine) = engine("") else { return };
    let answer = engine.search(&super::searching("rice"), None).await;
    assert!(matches!(answer, Err(EngineError::NotBuilt)));
    assert_eq!(engine.documents(), None);
    fill(&engine, vec![row(1, "Rice")]).await;
    assert_eq!(engine.documents(), Some(1));
}

/// OpenSearch stops at 50 unless it is told otherwise.
#[tokio::test]
async fn no_more_words_than_there_are_are_left_out() {
    let Some(engine) = engine("") else { return };
    let letters = "abcdefghijklmnopqrstuvwxyz";
    let names = letters.chars().flat_map(|a| letters.chars().map(move |b| format!("straw{a}berr{b}")));
    fill(&engine, (1..).zip(names).map(|(id, name)| row(id, &name)).collect()).await;
    for (text, total) in [("straw", 676), ("strawxberrxx", 51)] {
        assert_eq!(found(&engine, text).await.total, Some(total), "{text}");
    }
}

/// As many words, and parts of words, as a search can have.
#[tokio::test]
async fn the_longest_searches_are_answered() {
    let phrases = |c| (0..8).map(move |nth| format!(", {c}p{nth} {c}q{nth}")).collect::<Vec<_>>().concat();
    let synonyms: Vec<String> = ('a'..='z').map(|c| format!("{c}oran{c}{}\n", phrases(c))).collect();
    let Some(engine) = engine(&synonyms.concat()) else { return };
    fill(&engine, vec![row(1, "Rice")]).await;
    let han: String = (0..255).filter_map(|nth| char::from_u32(0x4e00 + nth)).collect();
    let letters: String =
        (0..127).filter_map(|nth| char::from_u32(0x400 + nth)).flat_map(|c| [c, ' ']).collect();
    let parts: String = ('a'..='z').cycle().take(127).flat_map(|c| [c, '1']).collect();
    let words: String = "abcdefghijklmnopqrstuvwxyz"
        .chars()
        .cycle()
        .take(36)
        .flat_map(|c| [c, 'o', 'r', 'a', 'n', c, ' '])
        .collect();
    // Each becomes four letters.
    let ligatures = "\u{fdf2}".repeat(255);
    let (suggestions, _) = engine.suggest(&SearchText::new(&ligatures).unwrap(), 8).await.unwrap();
    assert_eq!(suggestions, []);
    for text in [han, letters, parts, words, ligatures, "x".repeat(255)] {
        let answer = found(&engine, &text).await;
        assert_eq!(answer.total, Some(0), "{text}");
    }
}

/// Letters of many scripts, and what gets between them.
fn name() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[a-zA-Z]{1,12}",
        "[0-9]{1,4}[a-z]{0,3}",
        "[À-ÿĀ-ž]{1,8}",
        "[Α-ώ]{1,8}",
        "[А-яЁё]{1,10}",
        "[א-ת]{1,8}",
        "[ء-ي]{1,8}",
        "[क-ह][ा-ौ]?[़्]?[क-ह]{1,4}",
        "[ಕ-ಹ][ಾ-ೌ್]?[ಕ-ಹ]{1,4}",
        "[க-ஹ][ா-ௌ்]?[க-ஹ]{1,4}",
        "[క-హ][ా-ౌ్]?[క-హ]{1,4}",
        "[ก-ฮ][ะ-ู]?[่-๋]?[ก-ฮ]{1,5}",
        "[一-龥]{1,6}",
        "[가-힣]{1,6}",
        "[ぁ-んァ-ヶ]{1,8}",
        "[က-အ]{1,6}",
        "[ក-អ]{1,6}",
        "[🌀-🙏]{1,3}",
        "\\PC{1,6}",
    ];
    prop::collection::vec(word, 1..5).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_product_is_found_by_its_name_and_with_one_wrong_letter(
        names in prop::collection::vec(name(), 40),
        random in any::<prop::sample::Index>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let Some(engine) = engine("") else { return Ok(()) };
            let names: Vec<String> = names.iter().filter_map(|name| farmlokal_catalog::normalized(name, 255).ok()).collect();
            fill(&engine, (1..).zip(&names).map(|(id, name)| row(id, name)).collect()).await;
            for (id, name) in (1..).zip(&names) {
                let Ok(_) = SearchText::new(name) else { continue };
                let answer = found(&engine, name).await;
                prop_assert!(answer.matches.iter().any(|one| one.id == id), "{:?}", name);
                let highlighter = answer.highlighter.unwrap();
                let pieces: String = highlighter.pieces(name).iter().map(|piece| piece.text.clone()).collect();
                prop_assert_eq!(&pieces, name);

                let Some(wrong) = misspelt(name, random) else { continue };
                let answer = found(&engine, &wrong).await;
                // Another product may have the wrong word as it is written.
                let is_found = answer.matches.iter().any(|one| one.id == id);
                prop_assert!(is_found || answer.level < Level::Typos && !answer.matches.is_empty(), "{:?} {:?}", name, wrong);
            }
            Ok(())
        })?;
    }
}

/// The name with another letter in its longest word.
fn misspelt(name: &str, random: prop::sample::Index) -> Option<String> {
    let word = name.split(' ').max_by_key(|word| word.chars().count())?;
    let letters: Vec<char> = word.chars().collect();
    if letters.len() < 5 || !letters.iter().all(|c| c.is_alphabetic() && !c.is_numeric() || is_mark(*c)) {
        return None;
    }
    let at = random.index(letters.len());
    if is_mark(letters[at]) {
        return None;
    }
    // A letter of the same script.
    let other = letters.iter().copied().find(|c| *c != letters[at] && !is_mark(*c))?;
    let wrong: String =
        letters.iter().enumerate().map(|(nth, c)| if nth == at { other } else { *c }).collect();
    // Letters that are spelt with two, such as œ, count as two, and so does a letter that becomes one with its mark.
    let is_one_word_of_all_letters = |word: &str| {
        let folded = words(word).into_iter().map(|placed| match placed.word {
            Word::Plain { whole, .. } | Word::Run(whole) => whole.chars().count(),
            Word::Symbol(_) => 1,
        });
        folded.eq([letters.len()])
    };
    let differ_by_one = is_one_word_of_all_letters(word) && is_one_word_of_all_letters(&wrong);
    differ_by_one.then(|| name.replacen(word, &wrong, 1))
}

fn is_mark(c: char) -> bool {
    c.general_category_group() == GeneralCategoryGroup::Mark
}
