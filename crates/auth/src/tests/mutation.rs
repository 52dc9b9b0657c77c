use proptest::prelude::*;
use serde_json::json;
use tokio::runtime::Builder;

use super::*;

/// Every byte of a good token, replaced by each of those that a token may have, and by some others.
#[tokio::test]
async fn no_token_with_another_byte_verifies() {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \0";
    let (verifier, token) = (verifier(&all_keys()), P256.token_with(&json!({})));
    assert!(verifier.verify(&token).await.is_ok());
    for (at, right) in token.char_indices() {
        for wrong in alphabet.chars().filter(|wrong| *wrong != right) {
            let mut mutated = token.clone();
            mutated.replace_range(at..=at, wrong.encode_utf8(&mut [0; 4]));
            assert!(verifier.verify(&mutated).await.is_err(), "{mutated} for {token}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// A piece of a good token, replaced by any text.
    #[test]
    fn no_token_with_another_piece_verifies(
        key in 0..3_usize, from in any::<prop::sample::Index>(), length in 0..8_usize, text in ".{0,8}",
    ) {
        let token = [&*RSA, &*P256, &*ED25519][key].token_with(&json!({}));
        let from = from.index(token.len());
        let mut mutated = token.clone();
        mutated.replace_range(from..token.len().min(from + length), &text);
        prop_assume!(mutated != token);
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        prop_assert!(runtime.block_on(verify(&mutated)).is_err(), "{} for {}", mutated, token);
    }

    /// Whatever it is, it is refused and nothing panics.
    #[test]
    fn no_text_verifies(header in ".{0,64}", claims in ".{0,64}", signature in ".{0,64}", is_encoded: bool) {
        let parts = [header, claims, signature].map(|part| if is_encoded { encode(part) } else { part });
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        prop_assert!(runtime.block_on(verify(&parts.join("."))).is_err());
    }
}
