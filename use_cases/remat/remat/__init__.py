"""ReMAT: from the affiliation of an author to the INFN structure it names."""
