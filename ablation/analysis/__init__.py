"""Statistics: DataFrame in, DataFrame out; nothing here knows a run or a folder."""
