//! `cargo xtask codegen`: the checked-in Rust of the wire contract, made from `proto/foundry/**/*.proto`.
//!
//! protox parses and tonic-prost-build writes, so nobody needs protoc. With `--check` nothing is written: a difference
//! between what is checked in and what would be made is an error that names the file.

use anyhow::{Context, Result, bail};
use camino::Utf8Path;

const SCHEMAS: [&str; 4] = [
    "foundry/agent/v1/task.proto",
    "foundry/agent/v1/agent.proto",
    "foundry/agent/v1/enrol.proto",
    "foundry/operator/v1/operator.proto",
];

/// Writes the generated files, or compares them with what is checked in.
pub(crate) fn run(root: &Utf8Path, check: bool) -> Result<()> {
    let made = generate(root)?;
    let gen_dir = root.join("proto/src/gen");
    for (name, text) in made {
        let path = gen_dir.join(name);
        if check {
            let checked_in = fs_err::read_to_string(&path).unwrap_or_default();
            if checked_in != text {
                bail!("{path} is not what the schema makes: run `cargo xtask codegen`");
            }
        } else {
            fs_err::create_dir_all(&gen_dir)?;
            fs_err::write(&path, text)?;
        }
    }
    Ok(())
}

/// The generated files, by name.
fn generate(root: &Utf8Path) -> Result<Vec<(String, String)>> {
    let include = root.join("proto");
    let descriptors =
        protox::compile(SCHEMAS, [&include]).map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let out = root.join("target/codegen");
    fs_err::create_dir_all(&out)?;
    tonic_prost_build::configure()
        .bytes(".")
        .codec_path("crate::codec::StreamCodec")
        .out_dir(&out)
        .compile_fds(descriptors)
        .context("generate Rust from the schema")?;
    let mut files = Vec::new();
    for name in ["foundry.agent.v1.rs", "foundry.operator.v1.rs"] {
        files.push((name.to_owned(), fs_err::read_to_string(out.join(name))?));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;

    #[test]
    fn checked_in_code_is_what_the_schema_makes() {
        let root = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        super::run(&root, true).expect("no drift");
    }
}
