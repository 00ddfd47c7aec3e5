//! A model's directory as sentence-transformers exports it: its files, each error with the file's name.

use std::path::Path;

use serde_json::Value;

/// The bytes of a file.
pub fn read(root: &Path, file: &str) -> Result<Vec<u8>, String> {
    std::fs::read(root.join(file)).map_err(|e| format!("{file}: {e}"))
}

/// What a file holds that is JSON.
pub fn json(file: &str, bytes: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(bytes).map_err(|e| format!("{file} is damaged: {e}"))
}

/// What `special_tokens_map.json` holds, which may be missing.
pub fn special_tokens_map(root: &Path) -> Result<Vec<u8>, String> {
    let name = "special_tokens_map.json";
    if root.join(name).exists() { read(root, name) } else { Ok(b"{}".into()) }
}

/// `model.onnx` where there is one, in the directory or its `onnx/`, else the first other `model*.onnx` by name.
pub fn onnx_file(root: &Path) -> Result<String, String> {
    for folder in ["", "onnx/"] {
        let entries = std::fs::read_dir(root.join(folder)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.retain(|name| name.starts_with("model") && name.ends_with(".onnx"));
        names.sort_by_key(|name| (name != "model.onnx", name.clone()));
        if let Some(name) = names.first() {
            return Ok(format!("{folder}{name}"));
        }
    }
    Err("it has no model.onnx".to_owned())
}
