"""Pictures of a search as data, a file for each kind, and how matplotlib and Plotly draw them."""
