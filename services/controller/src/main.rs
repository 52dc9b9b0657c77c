//! `farmlokal-controller`.

fn main() -> anyhow::Result<()> {
    #[expect(clippy::print_stdout, reason = "the definition is what was asked for")]
    {
        print!("{}", farmlokal_controller::crd::yaml()?);
    }
    Ok(())
}
