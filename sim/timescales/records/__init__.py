"""What estimators take and give: series, autocorrelations, timescales."""
