"""Published data sets as they lie on disk after their download, and the exports of label tools."""
