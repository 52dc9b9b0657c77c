//! The definition that the chart installs.

use std::path::Path;

#[test]
fn the_chart_has_the_definition_that_the_binary_prints() {
    let output =
        std::process::Command::new(env!("CARGO_BIN_EXE_farmlokal-controller")).arg("crd").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/farmlokal/crds/productcatalogs.yaml");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        std::fs::read_to_string(&file).unwrap_or_default(),
        printed,
        "run: cargo run -p farmlokal-controller -- crd > charts/farmlokal/crds/productcatalogs.yaml"
    );
}
