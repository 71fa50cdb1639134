//! Packages that the checks need: installed once into a cache folder, by name and pinned version.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
pub(crate) use cumulo_servers::packages::{is_root, need};

use crate::project;

/// A virtual environment with the packages of a requirements file: the folder of its programs.
pub(crate) fn python(requirements: &Path) -> Result<PathBuf> {
    need("python3", &["python3", "python3-venv"])?;
    let version = output(Command::new("python3").arg("--version"))?;
    let key = [version, fs::read_to_string(requirements)?];
    let folder = once("python", &key, |folder| {
        project::run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
        project::run(pip.arg(requirements))
    })?;
    Ok(folder.join("bin"))
}

/// The packages of a `package-lock.json`: the path of `node_modules`.
pub(crate) fn node(lock: &Path) -> Result<PathBuf> {
    need("node", &["nodejs"])?;
    need("npm", &["npm"])?;
    let version = output(Command::new("node").arg("--version"))?;
    let key = [version, fs::read_to_string(lock)?];
    let folder = once("node", &key, |folder| {
        fs::create_dir_all(folder)?;
        for name in ["package.json", "package-lock.json"] {
            fs::copy(lock.with_file_name(name), folder.join(name))?;
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]);
        project::run(npm.current_dir(folder))
    })?;
    Ok(folder.join("node_modules"))
}

/// A program of crates.io, built once: its path.
pub(crate) fn cargo(name: &str, version: &str) -> Result<PathBuf> {
    let folder = once(name, &[version.to_owned()], |folder| {
        let mut install = Command::new("cargo");
        install.args(["install", "--quiet", "--locked", name, "--version", version, "--root"]);
        project::run(install.arg(folder))
    })?;
    Ok(folder.join("bin").join(name))
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A folder of the cache, made once per key: clones that run at the same time wait for each other.
fn once(kind: &str, key: &[String], make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    let name = format!("{kind}-{:016x}", hasher.finish());
    let folder = project::cache()?.join(&name);
    let lock = File::create(folder.with_extension("lock"))?;
    lock.lock()?;
    let ready = folder.with_extension("ready");
    if !ready.exists() {
        println!("installing packages into {}", folder.display());
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        make(&folder)?;
        File::create(ready)?;
    }
    Ok(folder)
}
