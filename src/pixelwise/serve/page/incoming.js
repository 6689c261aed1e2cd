// Pictures that are chosen, dropped or pasted.

export function listenToPictures(open) {
  const field = document.getElementById("file");
  for (const id of ["choose", "choose-large"]) {
    document.getElementById(id).addEventListener("click", () => field.click());
  }
  field.addEventListener("change", () => {
    if (field.files.length) open(field.files[0]);
    field.value = "";
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dropping");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    if (event.dataTransfer.files.length) open(event.dataTransfer.files[0]);
  });
  document.addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files][0];
    if (file) open(file);
  });
}
