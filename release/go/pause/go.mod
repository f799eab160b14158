module baltig.infn.it/kaap/kaap/release/go/pause

go 1.26.0
