"""The shared package of the LLM Workbook: one module a chapter, and what the chapters share."""
