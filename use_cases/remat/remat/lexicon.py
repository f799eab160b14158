"""What affiliations are made of: structures, spellings of INFN, universities, near-names.

Each list that the test withholds is split here, by hand and once: `TRAIN` may be seen by the generator's training
part and by the feature extractor; `DEV` tunes the threshold; `TEST` is seen by nothing but the evaluation.

The structures are those of https://www.infn.it (sections, national laboratories, centres). Associated groups, and
the public pages on which each was read to belong to its structure:
  Cosenza -> LNF      "INFN, Sezione LNF, gruppo collegato di Cosenza" (author list, University of Calabria)
  L'Aquila -> LNGS    https://home.infn.it/it/istituto/strutture (not readable when this was written: by its town)
  Messina -> CT       as above
  Salerno -> NA       https://doi.org/10.1103/PhysRevA.70.022318 "INFN Sezione di Napoli, Gruppo Collegato di Salerno"
  Sanita (ISS) -> RM1 Geant4 medical_linac example: "Istituto Superiore di Sanita and INFN Roma, gruppo collegato Sanita"
  Siena -> PI         https://www.sif.it/attivita/congresso/xciii "Universita di Siena e INFN Pisa"
  Udine -> TS         https://www.units.it/news/la-sezione-infn-di-trieste-compie-50-anni "della Sezione e del Gruppo
                      Collegato di Udine"
  Parma -> MIB, Brescia -> PV, Alessandria -> TO, Trento -> TIFPA (a group of Padova until 2013)
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Site:
    """One place that stands for a structure: a section, an associated group or a laboratory.

    `names` are its spellings after "Sezione di" (or the laboratory's own names), `withheld` those only the test
    uses; `places` are postcode and town as printed; `universities` those of the place.
    """

    label: str
    kind: str  # section | group | laboratory | headquarters
    names: tuple[str, ...]
    withheld: tuple[str, ...]
    places: tuple[str, ...]
    streets: tuple[str, ...]
    universities: tuple[str, ...]


def _section(  # noqa: PLR0917  a table below, one row per place
    label: str, names: str, withheld: str, places: str, streets: str, universities: str, kind: str = "section"
) -> Site:
    return Site(label, kind, *(_split(text) for text in (names, withheld, places, streets, universities)))


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split("|") if part.strip())


SECTIONS: tuple[Site, ...] = (
    _section("BA", "Bari|Bari|BARI", "Bari (Puglia)", "70126 Bari|I-70126 Bari|I-70125 Bari|Bari",
             "Via E. Orabona 4|via Orabona, 4|Via Amendola 173",
             "Università di Bari|Univ Bari|University of Bari|Università degli Studi di Bari Aldo Moro|Politecnico di Bari"
             "|Univ Bari Aldo Moro|Polytech Univ Bari|Dipartimento Interateneo di Fisica M. Merlin"),
    _section("BO", "Bologna|Bologna", "Bologne|Bolonia", "40127 Bologna|I-40127 Bologna|40126 Bologna|Bologna",
             "Viale Berti Pichat 6/2|via Irnerio 46|viale C. Berti Pichat, 6/2",
             "Università di Bologna|Univ Bologna|University of Bologna|Alma Mater Studiorum Università di Bologna"
             "|Alma Mater Studiorum Univ Bologna"),
    _section("CA", "Cagliari|Cagliari", "Caller|Cagliari-Monserrato", "09042 Monserrato|I-09042 Monserrato|09042 Monserrato (CA)"
             "|Cagliari", "Complesso Universitario di Monserrato|S.P. per Sestu Km 0.700|Cittadella Universitaria",
             "Università di Cagliari|Univ Cagliari|University of Cagliari|Università degli Studi di Cagliari"),
    _section("CT", "Catania|Catania", "Catane", "95123 Catania|I-95123 Catania|95129 Catania|Catania",
             "Via Santa Sofia 64|via S. Sofia, 64|Corso Italia 57",
             "Università di Catania|Univ Catania|University of Catania|Dipartimento di Fisica e Astronomia Ettore Majorana"),
    _section("FE", "Ferrara|Ferrara", "Ferrare", "44122 Ferrara|I-44122 Ferrara|44100 Ferrara|Ferrara",
             "Via Saragat 1|via Giuseppe Saragat, 1|Via Paradiso 12",
             "Università di Ferrara|Univ Ferrara|University of Ferrara|Università degli Studi di Ferrara"),
    _section("FI", "Firenze|Florence", "Florencia|Florenz", "50019 Sesto Fiorentino|I-50019 Sesto Fiorentino (FI)"
             "|50019 Sesto Fiorentino, Firenze|I-50125 Firenze|Florence|Firenze", "Via G. Sansone 1|Via Sansone, 1|Largo E. Fermi 2",
             "Università di Firenze|Univ Florence|University of Florence|Univ Firenze|Università degli Studi di Firenze"),
    _section("GE", "Genova|Genoa", "Gênes|Genua", "16146 Genova|I-16146 Genova|16146 Genoa|Genova|Genoa",
             "Via Dodecaneso 33|via Dodecaneso, 33",
             "Università di Genova|Univ Genoa|University of Genoa|Univ Genova|Università degli Studi di Genova"),
    _section("LE", "Lecce|Lecce", "Lecce-Arnesano", "73100 Lecce|I-73100 Lecce|Lecce", "Via per Arnesano|Via Arnesano|via Provinciale per Arnesano",
             "Università del Salento|Univ Salento|University of Salento|Università di Lecce|Univ Lecce|University of Lecce"
             "|Dipartimento di Matematica e Fisica Ennio De Giorgi"),
    _section("MI", "Milano|Milan", "Mailand|Milán", "20133 Milano|I-20133 Milano|20133 Milan|I-20133 Milan|Milano|Milan",
             "Via Celoria 16|via G. Celoria, 16", "Università degli Studi di Milano|Univ Milan|University of Milan|Univ Milano"
             "|Università di Milano|Politecnico di Milano|Politecn Milan"),
    _section("MIB", "Milano-Bicocca|Milano Bicocca|Milan Bicocca|Milan-Bicocca", "Mi-Bicocca|Bicocca",
             "20126 Milano|I-20126 Milano|I-20126 Milan|Milano", "Piazza della Scienza 3|Piazza della Scienza, 3",
             "Università di Milano-Bicocca|Univ Milano Bicocca|University of Milano Bicocca|Università degli Studi di Milano-Bicocca"
             "|Univ Milan Bicocca"),
    _section("NA", "Napoli|Naples", "Nápoles|Neapel", "80126 Napoli|I-80126 Napoli|80126 Naples|I-80126 Naples|Napoli|Naples",
             "Via Cintia|Complesso Universitario di Monte S. Angelo|Complesso Univ. Monte S. Angelo, via Cinthia",
             "Università di Napoli Federico II|Univ Naples Federico II|University of Naples Federico II|Univ Napoli Federico II"
             "|Università degli Studi di Napoli Federico II|Università della Campania Luigi Vanvitelli|Univ Napoli Parthenope"),
    _section("PD", "Padova|Padua", "Padoue|Pádua", "35131 Padova|I-35131 Padova|35131 Padua|I-35131 Padua|Padova|Padua",
             "Via Marzolo 8|via F. Marzolo, 8", "Università di Padova|Univ Padua|University of Padova|University of Padua|Univ Padova"
             "|Università degli Studi di Padova"),
    _section("PG", "Perugia|Perugia", "Pérouse", "06123 Perugia|I-06123 Perugia|06100 Perugia|Perugia", "Via A. Pascoli|via Pascoli",
             "Università di Perugia|Univ Perugia|University of Perugia|Università degli Studi di Perugia"),
    _section("PI", "Pisa|Pisa", "Pise", "56127 Pisa|I-56127 Pisa|56126 Pisa|Pisa", "Largo B. Pontecorvo 3|Largo Bruno Pontecorvo, 3"
             "|Polo Fibonacci", "Università di Pisa|Univ Pisa|University of Pisa|Scuola Normale Superiore|Scuola Normale Super Pisa"),
    _section("PV", "Pavia|Pavia", "Pavie", "27100 Pavia|I-27100 Pavia|Pavia", "Via Bassi 6|via A. Bassi, 6",
             "Università di Pavia|Univ Pavia|University of Pavia|Università degli Studi di Pavia"),
    _section("RM1", "Roma|Rome|Roma 1|Roma I|Roma1|Roma La Sapienza|Roma Sapienza|Rome La Sapienza", "Rom|Sapienza",
             "00185 Roma|I-00185 Roma|I-00185 Rome|00185 Rome|Roma|Rome", "Piazzale Aldo Moro 2|P.le A. Moro, 2|Piazzale A. Moro 5",
             "Sapienza Università di Roma|Univ Roma La Sapienza|Sapienza University of Rome|Sapienza Univ Rome"
             "|Università di Roma La Sapienza|University of Rome La Sapienza|Univ Rome La Sapienza"),
    _section("RM2", "Roma Tor Vergata|Rome Tor Vergata|Roma 2|Roma II|Roma2|Tor Vergata", "Rom Tor Vergata|Roma-TorVergata",
             "00133 Roma|I-00133 Roma|I-00133 Rome|Roma|Rome", "Via della Ricerca Scientifica 1|via della Ricerca Scientifica, 1",
             "Università di Roma Tor Vergata|Univ Roma Tor Vergata|University of Rome Tor Vergata|Univ Rome Tor Vergata"),
    _section("RM3", "Roma Tre|Roma 3|Roma III|Roma3|Rome 3|Rome III", "Rome Three|Roma-Tre",
             "00146 Roma|I-00146 Roma|I-00146 Rome|Roma|Rome", "Via della Vasca Navale 84|via della Vasca Navale, 84",
             "Università Roma Tre|Univ Roma Tre|Roma Tre University|Università degli Studi Roma Tre|Univ Rome 3|Univ Roma III"),
    _section("TO", "Torino|Turin", "Turín|Torino (To)", "10125 Torino|I-10125 Torino|10125 Turin|I-10125 Turin|Torino|Turin",
             "Via P. Giuria 1|via Pietro Giuria, 1", "Università di Torino|Univ Turin|University of Turin|University of Torino|Univ Torino"
             "|Università degli Studi di Torino|Politecnico di Torino|Politecn Torino"),
    _section("TS", "Trieste|Trieste", "Triest", "34127 Trieste|I-34127 Trieste|34149 Trieste|I-34136 Trieste|Trieste",
             "Via A. Valerio 2|via Valerio, 2|Padriciano 99|Via Bonomea 265",
             "Università di Trieste|Univ Trieste|University of Trieste|Università degli Studi di Trieste|SISSA"),
    _section("TIFPA", "Trento|Trento", "Trient", "38123 Povo|I-38123 Povo (TN)|38123 Trento|I-38123 Trento|Trento", "Via Sommarive 14|via Sommarive, 14",
             "Università di Trento|Univ Trento|University of Trento|Università degli Studi di Trento"),
)  # fmt: skip

GROUPS: tuple[Site, ...] = (
    _section("LNF", "Cosenza|Cosenza", "Cosence", "87036 Rende|87036 Arcavacata di Rende (CS)|I-87036 Rende|Cosenza|Rende", "Ponte P. Bucci, Cubo 31C",
             "Università della Calabria|Univ Calabria|University of Calabria|Univ della Calabria", "group"),
    _section("LNGS", "L'Aquila|L'Aquila|Aquila", "Laquila", "67100 L'Aquila|67010 Coppito|I-67100 L'Aquila|L'Aquila", "Via Vetoio",
             "Università dell'Aquila|Univ Aquila|University of L'Aquila|Università degli Studi dell'Aquila|Gran Sasso Science Institute", "group"),
    _section("CT", "Messina|Messina", "Messine", "98166 Messina|I-98166 Messina|Messina", "Viale F. Stagno d'Alcontres 31",
             "Università di Messina|Univ Messina|University of Messina", "group"),
    _section("NA", "Salerno|Salerno", "Salerne", "84084 Fisciano|84084 Fisciano (SA)|84081 Baronissi (SA)|I-84084 Fisciano|Salerno", "Via Giovanni Paolo II 132",
             "Università di Salerno|Univ Salerno|University of Salerno", "group"),
    _section("RM1", "Sanità|Sanita|ISS", "Sanitá", "00161 Roma|I-00161 Roma|I-00161 Rome", "Viale Regina Elena 299",
             "Istituto Superiore di Sanità|Ist Super Sanita", "group"),
    _section("PI", "Siena|Siena", "Sienne", "53100 Siena|I-53100 Siena|Siena", "Via Roma 56",
             "Università di Siena|Univ Siena|University of Siena", "group"),
    _section("TS", "Udine|Udine", "Utine", "33100 Udine|I-33100 Udine|Udine", "Via delle Scienze 206|Via delle Scienze 208",
             "Università di Udine|Univ Udine|University of Udine", "group"),
    _section("PV", "Brescia|Brescia", "Brixia", "25123 Brescia|25133 Brescia|I-25123 Brescia|Brescia", "Via Branze 38",
             "Università di Brescia|Univ Brescia|University of Brescia", "group"),
    _section("MIB", "Parma|Parma", "Parme", "43124 Parma|43100 Parma|I-43124 Parma|Parma", "Parco Area delle Scienze 7/A|Viale G.P. Usberti 7/A",
             "Università di Parma|Univ Parma|University of Parma", "group"),
    _section("TO", "Alessandria|Alessandria", "Alexandrie", "15121 Alessandria|15100 Alessandria|I-15121 Alessandria|Alessandria", "Viale T. Michel 11|Viale Teresa Michel 11",
             "Università del Piemonte Orientale|Univ Piemonte Orientale|University of Eastern Piedmont", "group"),
)  # fmt: skip

# Laboratories stand alone: their full names are INFN's even where the word is not there.
LABORATORIES: tuple[Site, ...] = (
    _section("LNF", "Laboratori Nazionali di Frascati|Lab Nazl Frascati|Frascati Natl Labs|Frascati National Laboratories|LNF"
             "|Laboratori Nazionali Frascati|Lab. Naz. Frascati|Lab. Naz. di Frascati|Frascati Natl Lab|Frascati National Laboratory"
             "|Nat. Lab. Frascati|LNF Frascati",
             "Laboratoires Nationaux de Frascati|Laboratorios Nacionales de Frascati|Nationallabor Frascati",
             "00044 Frascati|I-00044 Frascati|00044 Frascati (Roma)|I-00044 Frascati, Roma|00044 Frascati (RM)|Frascati, Rome|Frascati",
             "Via E. Fermi 40|via Enrico Fermi, 54|Via Enrico Fermi 40", "", "laboratory"),
    _section("LNGS", "Laboratori Nazionali del Gran Sasso|Lab Nazl Gran Sasso|Gran Sasso National Laboratory|LNGS|Gran Sasso Natl Lab"
             "|Lab. Naz. Gran Sasso|Laboratori Nazionali Gran Sasso|Lab. Nazionali del Gran Sasso|Gran Sasso National Laboratories"
             "|Natl Lab Gran Sasso|LNGS Gran Sasso",
             "Laboratoire National du Gran Sasso|Laboratorio Nacional de Gran Sasso|Gran Sasso Underground Laboratory",
             "67100 Assergi|67010 Assergi|I-67100 Assergi (AQ)|Assergi, L'Aquila|67100 Assergi, L'Aquila|I-67010 Assergi|Assergi",
             "Via G. Acitelli 22|SS 17bis km 18.910|via Acitelli, 22", "", "laboratory"),
    _section("LNL", "Laboratori Nazionali di Legnaro|Lab Nazl Legnaro|Legnaro National Laboratory|LNL|Legnaro Natl Labs|Legnaro National Laboratories"
             "|Lab. Naz. Legnaro|Laboratori Nazionali Legnaro|Lab. Naz. di Legnaro|Natl Labs Legnaro|LNL Legnaro",
             "Laboratoires Nationaux de Legnaro|Laboratorios Nacionales de Legnaro|Nationallabor Legnaro",
             "35020 Legnaro|I-35020 Legnaro|35020 Legnaro (PD)|I-35020 Legnaro (Padova)|Legnaro, Padova|Legnaro",
             "Viale dell'Università 2|viale dell'Universita, 2", "", "laboratory"),
    _section("LNS", "Laboratori Nazionali del Sud|Lab Nazl Sud|Southern National Laboratories|LNS|Lab. Naz. del Sud|Lab. Naz. Sud"
             "|Laboratori Nazionali Sud|Natl Lab South|Southern National Laboratory|LNS Catania",
             "Laboratoires Nationaux du Sud|Laboratorios Nacionales del Sur|Laboratories of the South",
             "95123 Catania|I-95123 Catania|95125 Catania|Catania", "Via S. Sofia 62|via Santa Sofia, 62", "", "laboratory"),
    _section("CNAF", "CNAF|Centro Nazionale CNAF|CNAF Bologna|CNAF Tier-1|Centro Nazionale per le Tecnologie Informatiche CNAF",
             "Centro Nazionale Analisi Fotogrammi|CNAF Computing Centre", "40127 Bologna|I-40127 Bologna|Bologna",
             "Viale Berti Pichat 6/2|viale Carlo Berti Pichat, 6/2", "", "laboratory"),
    _section("TIFPA", "TIFPA|Trento Institute for Fundamental Physics and Applications|Trento Inst Fundamental Phys & Applicat|TIFPA Trento"
             "|TIFPA - Trento Institute for Fundamental Physics and Applications",
             "Trento Institute of Fundamental Physics & Application|Istituto di Trento per la Fisica Fondamentale",
             "38123 Povo|38123 Trento|I-38123 Povo (TN)|I-38123 Trento|Povo, Trento|Trento", "Via Sommarive 14|via Sommarive, 14", "", "laboratory"),
    _section("AC", "Amministrazione Centrale|Presidenza|Headquarters|Central Administration|Direzione Generale|Sede Centrale|Uffici di Presidenza",
             "Siège central|Sede Legale|Administration Centrale", "00186 Roma|I-00186 Roma|00044 Frascati|I-00044 Frascati (Roma)|Roma|Frascati",
             "Piazza dei Caprettari 70|piazza dei Caprettari, 70|Via E. Fermi 54", "", "headquarters"),
)  # fmt: skip

INFN_TRAIN: tuple[str, ...] = _split(
    "INFN|INFN|INFN|INFN|INFN|INFN|INFN|INFN|I.N.F.N.|Istituto Nazionale di Fisica Nucleare|Istituto Nazionale di Fisica Nucleare"
    "|Istituto Nazionale di Fisica Nucleare (INFN)|INFN - Istituto Nazionale di Fisica Nucleare|Ist Nazl Fis Nucl|Ist Nazl Fis Nucl"
    "|Ist. Naz. Fis. Nucl.|Ist. Naz. di Fisica Nucleare|Ist. Naz. Fisica Nucleare|National Institute for Nuclear Physics"
    "|National Institute of Nuclear Physics|National Institute for Nuclear Physics (INFN)|Natl Inst Nucl Phys|Nat. Inst. Nucl. Phys."
    "|Italian National Institute for Nuclear Physics|Italian Institute for Nuclear Physics|Institut National de Physique Nucléaire"
    "|Ist Nazl Fis Nucl INFN|Infn|INFN Italy|Istituto Naz. Fisica Nucleare|Instituto Nazionale di Fisica Nucleare|Instituto Nacional de Física Nuclear"
)
INFN_TEST: tuple[str, ...] = _split(
    "Nationales Institut für Kernphysik|Istituto Nazionale Italiano di Fisica Nucleare|Inst Nazl Fis Nucl|Istit. Nazion. di Fis. Nucleare"
    "|Natl Inst Nuclear Phys INFN|Italian Natl Inst Nucl Phys|Institute National of Nuclear Physics|I N F N|Ist. Nazion. Fis. Nucleare"
    "|Istituto Nazionale Fisica Nucleare I.N.F.N.|Nazl Inst Nucl Phys|Istituto di Fisica Nucleare INFN|Istituto Nazionale per la Fisica Nucleare"
    "|Institut Italien de Physique Nucléaire|Nat'l Inst. for Nuclear Physics"
)


@dataclass(frozen=True)
class NearName:
    """An institute that looks like INFN and is not: its spellings and the places it is printed with."""

    key: str
    spellings: tuple[str, ...]
    places: tuple[str, ...]


def _near(key: str, spellings: str, places: str) -> NearName:
    return NearName(key, _split(spellings), _split(places))


_IT = "Roma, Italy|Genova, Italy|I-56127 Pisa, Italy|Milano, Italy|Napoli, Italy|Bologna, Italy|Torino, Italy|Firenze, Italy|Trieste, Italy|Padova, Italy|Catania, Italy|Frascati, Italy|Lecce, Italy|Perugia, Italy"
NEAR_TRAIN: tuple[NearName, ...] = (
    _near("INFM", "INFM|INFM, Unità di Ricerca|INFM UdR|Istituto Nazionale per la Fisica della Materia|Ist Nazl Fis Mat|INFM, Sezione"
          "|National Institute for the Physics of Matter|Istituto Nazionale di Fisica della Materia (INFM)|CNR-INFM|INFM-CNR", _IT),
    _near("CNR", "CNR|Consiglio Nazionale delle Ricerche|CNR, Ist Fis Plasma|CNR-INO|Ist Nazl Ott|Istituto Nazionale di Ottica|CNR IFN|CNR-IFN"
          "|Istituto di Fotonica e Nanotecnologie|National Research Council|CNR, Ist Struttura Mat|CNR-SPIN|CNR Nanotec|CNR-IOM", _IT),
    _near("ENEA", "ENEA|ENEA, CR Frascati|ENEA Centro Ricerche Frascati|Centro Ricerche Casaccia ENEA|ENEA, FSN Dept"
          "|Italian National Agency for New Technologies, Energy and Sustainable Economic Development", "I-00044 Frascati, Roma, Italy|00044 Frascati, Italy|Bologna, Italy|Roma, Italy"),
    _near("INGV", "INGV|INGV, Sezione di Roma 1|INGV Sezione di Pisa|INGV Sezione di Bologna|Istituto Nazionale di Geofisica e Vulcanologia|Ist Nazl Geofis & Vulcanol"
          "|INGV, Sezione di Catania|INGV, Sez Milano|Istituto Nazionale di Geofisica e Vulcanologia, Sezione di Napoli|National Institute of Geophysics and Volcanology", _IT),
    _near("NIKHEF", "NIKHEF|National Institute for Nuclear Physics and High Energy Physics|Nikhef National Institute for Subatomic Physics|Natl Inst Nucl Phys & High Energy Phys"
          "|National Institute for Nuclear and High Energy Physics|Natl Inst Subatom Phys", "Amsterdam, Netherlands|1098 XG Amsterdam, The Netherlands|NL-1009 DB Amsterdam"),
    _near("JINR", "JINR|Joint Institute for Nuclear Research|Joint Inst Nucl Res|Laboratory of Nuclear Problems, JINR|Frank Laboratory of Neutron Physics, JINR", "Dubna, Russia|141980 Dubna, Moscow Region, Russia|RU-141980 Dubna, Russia"),
    _near("BINP", "Budker Institute of Nuclear Physics|BINP|Budker Inst Nucl Phys|G.I. Budker Institute of Nuclear Physics SB RAS", "Novosibirsk, Russia|630090 Novosibirsk, Russia"),
    _near("SINP", "Skobeltsyn Institute of Nuclear Physics|SINP MSU|D.V. Skobeltsyn Inst Nucl Phys|Saha Institute of Nuclear Physics|Saha Inst Nucl Phys|SINP", "Moscow, Russia|Kolkata, India|Calcutta 700064, India|119991 Moscow, Russia"),
    _near("INR", "Institute for Nuclear Research|INR RAS|Institute for Nuclear Research of the Russian Academy of Sciences|Inst Nucl Res|Institute of Nuclear Research ATOMKI|ATOMKI", "Moscow, Russia|Troitsk, Russia|Debrecen, Hungary|Kyiv, Ukraine|Kiev, Ukraine"),
    _near("IFJ", "IFJ PAN|Henryk Niewodniczanski Institute of Nuclear Physics|Institute of Nuclear Physics PAN|H Niewodniczanski Inst Nucl Phys|Polish Acad Sci, Inst Nucl Phys", "Krakow, Poland|PL-31342 Krakow, Poland|Kraków, Poland"),
    _near("IPN", "Institut de Physique Nucléaire|IPN Orsay|Inst Phys Nucl|Institut de Physique Nucléaire de Lyon|IPNL|Institut de Physique Nucléaire d'Orsay", "Orsay, France|F-91406 Orsay, France|F-69622 Villeurbanne, France|Lyon, France"),
    _near("IHEP", "Institute of High Energy Physics|IHEP|Inst High Energy Phys|Institute for High Energy Physics|Chinese Acad Sci, Inst High Energy Phys", "Beijing 100049, China|Protvino, Russia|Vienna, Austria"),
    _near("IFIC", "IFIC|Instituto de Física Corpuscular|Inst Fis Corpuscular|IFIC (CSIC-UV)|Instituto de Fisica Corpuscular", "Valencia, Spain|E-46980 Paterna, Spain"),
    _near("CIEMAT", "CIEMAT|Centro de Investigaciones Energéticas Medioambientales y Tecnológicas|Ctr Invest Energet Medioambient & Tecnol", "Madrid, Spain|E-28040 Madrid, Spain"),
    _near("LIP", "LIP|Laboratório de Instrumentação e Física Experimental de Partículas|Lab Instrumentacao & Fis Expt Particulas", "Lisboa, Portugal|Lisbon, Portugal|Coimbra, Portugal"),
    _near("LNCC", "LNCC|Laboratório Nacional de Computação Científica|Lab Nacl Comp Cient|LNA|Laboratório Nacional de Astrofísica", "Petropolis, RJ, Brazil|Itajuba, Brazil"),
    _near("LNE", "LNE|Laboratoire National de Métrologie et d'Essais|LNHB|Laboratoire National Henri Becquerel|LNCMI|LNE-SYRTE", "Paris, France|Gif Sur Yvette, France|Grenoble, France|Saclay, France"),
    _near("LBNL", "LBNL|Lawrence Berkeley National Laboratory|Lawrence Berkeley Natl Lab|LLNL|LANL|Los Alamos Natl Lab|BNL|Brookhaven National Laboratory|FNAL|Fermilab", "Berkeley, CA 94720 USA|Livermore, CA USA|Los Alamos, NM USA|Upton, NY 11973 USA|Batavia, IL 60510 USA"),
    _near("CNRS", "CNRS|CNRS/LAL|LAL|LPNHE|CEA|CEA Saclay|IRFU|LAPP|APC|CPPM|LPSC|Laboratoire Leprince-Ringuet", "Paris, France|Orsay, France|F-91191 Gif Sur Yvette, France|Annecy, France|Marseille, France|Grenoble, France"),
    _near("CERN", "CERN|European Organization for Nuclear Research|European Org Nucl Res|CERN, PH Dept|Organisation Européenne pour la Recherche Nucléaire", "Geneva, Switzerland|CH-1211 Geneva 23, Switzerland|Genève, Suisse|Ginevra, Svizzera"),
    _near("INFLPR", "INFLPR|National Institute for Laser, Plasma and Radiation Physics|Natl Inst Laser Plasma & Radiat Phys|INCDTIM|National Institute of Materials Physics|NIMP", "Magurele, Romania|Bucharest, Romania|RO-077125 Magurele, Romania"),
    _near("INDAM", "INdAM|Istituto Nazionale di Alta Matematica|Ist Nazl Alta Matemat|INSEAN|INBB|Istituto Nazionale Biostrutture e Biosistemi|INSTM|INOA|Istituto Nazionale di Ottica Applicata|OGS|Istituto Nazionale di Oceanografia e di Geofisica Sperimentale", _IT),
    _near("INPR", "INRNE|Institute for Nuclear Research and Nuclear Energy|Inst Nucl Res & Nucl Energy|Institute of Nuclear Physics Tashkent|Institute of Nuclear Physics|Inst Nucl Phys|Institut für Kernphysik|Inst Kernphys", "Sofia, Bulgaria|Tashkent, Uzbekistan|Almaty, Kazakhstan|Mainz, Germany|Darmstadt, Germany|Tirana, Albania"),
    _near("NCBJ", "NCBJ|National Centre for Nuclear Research|Natl Ctr Nucl Res|Andrzej Soltan Institute for Nuclear Studies|NCNR|National Nuclear Research Institute", "Otwock, Poland|Warsaw, Poland|Swierk, Poland|Baku, Azerbaijan"),
    _near("ININ", "ININ|Instituto Nacional de Investigaciones Nucleares|Inst Nacl Invest Nucl|INEN|INTI|Comisión Nacional de Energía Atómica|CNEA", "Ocoyoacac, Mexico|Mexico City, Mexico|Buenos Aires, Argentina"),
    _near("CENTROFERMI", "Centro Fermi|Museo Storico della Fisica e Centro Studi e Ricerche Enrico Fermi|CREF|Centro Studi & Ric Enrico Fermi|Ctr Fermi", "Roma, Italy|I-00184 Rome, Italy"),
    _near("ITALIAN", "FBK|Fondazione Bruno Kessler|IIT|Istituto Italiano di Tecnologia|ICTP|Elettra Sincrotrone Trieste|ASI|Agenzia Spaziale Italiana|ECT*|GSSI"
          "|Consorzio RFX|EGO European Gravitational Observatory|CNAO|Centro Nazionale di Adroterapia Oncologica|ESA ESRIN|Osservatorio Astronomico di Padova|Osservatorio Astrofisico di Arcetri",
          "Trento, Italy|Genova, Italy|Trieste, Italy|Roma, Italy|Padova, Italy|Cascina, Pisa, Italy|Pavia, Italy|Frascati, Italy|Firenze, Italy|L'Aquila, Italy"),
)  # fmt: skip
NEAR_DEV: tuple[NearName, ...] = (
    _near("INSU", "INSU|Institut National des Sciences de l'Univers|INP|Institut National de Physique|INSERM|Institut National de la Recherche Agronomique|INRA|INSTN", "Paris, France|Grenoble, France"),
    _near("IFNMU", "IFNMU|Institute of Nuclear Physics of Moscow University|NPI|Nuclear Physics Institute of the ASCR|Nucl Phys Inst|INFP|National Institute for Earth Physics", "Moscow, Russia|Rez, Czech Republic|Magurele, Romania"),
    _near("NIST", "National Institute of Physics|National Institute of Standards and Technology|NIST|Natl Inst Stand & Technol|National Institute of Science Education and Research|NISER|Natl Inst Sci Educ & Res|National Institute for Theoretical Physics|NITheP", "Bhubaneswar, India|Manila, Philippines|Stellenbosch, South Africa"),
    _near("LENS", "LNMRI|Laboratório Nacional de Metrologia|LENS|European Laboratory for Nonlinear Spectroscopy", "Firenze, Italy|Rio de Janeiro, Brazil|Sesto Fiorentino, Italy"),
)  # fmt: skip
NEAR_TEST: tuple[NearName, ...] = (
    _near("IN2P3", "IN2P3|CNRS/IN2P3|CNRS-IN2P3|Institut National de Physique Nucléaire et de Physique des Particules|Inst Natl Phys Nucl & Phys Particules"
          "|National Institute of Nuclear and Particle Physics|Institut National de Physique Nucléaire et de Physique des Particules (IN2P3)", "Paris, France|Strasbourg, France|Villeurbanne, France|Clermont-Ferrand, France"),
    _near("INAF", "INAF|INAF, Osservatorio Astronomico di Brera|INAF - Istituto di Radioastronomia|Istituto Nazionale di Astrofisica|Ist Nazl Astrofis|INAF OATs"
          "|National Institute for Astrophysics|INAF-IASF|Italian National Institute for Astrophysics", _IT),
    _near("IFIN", "IFIN-HH|Horia Hulubei National Institute of Physics and Nuclear Engineering|Horia Hulubei National Institute for R&D in Physics and Nuclear Engineering|Natl Inst Phys & Nucl Engn"
          "|NIPNE|National Institute for Physics and Nuclear Engineering|IFIN", "Bucharest, Romania|Magurele, Romania|RO-077125 Magurele, Romania"),
    _near("LNLS", "LNLS|Laboratório Nacional de Luz Síncrotron|Lab Nacl Luz Sincrotron|Brazilian Synchrotron Light Laboratory|LNNano|Laboratório Nacional de Nanotecnologia", "Campinas, SP, Brazil|BR-13083970 Campinas, SP, Brazil"),
    _near("MITLNS", "MIT LNS|MIT Laboratory for Nuclear Science|Laboratory for Nuclear Science, MIT|MIT, Nucl Sci Lab|LNS MIT|Cornell LNS|Laboratory of Nuclear Studies, Cornell|LNS Saclay|Laboratoire National Saturne", "Cambridge, MA 02139 USA|Ithaca, NY USA|Gif Sur Yvette, France"),
    _near("INRIM", "INRIM|Istituto Nazionale di Ricerca Metrologica|Ist Nazl Ric Metrol|IEN Galileo Ferraris|National Institute of Metrological Research", "Torino, Italy|I-10135 Turin, Italy"),
    _near("IFN", "INPP|Institute of Nuclear and Particle Physics|NIFS|National Institute for Fusion Science|INPC|NIRS|INFIQC|Nucl Phys Lab", "Athens, Greece|Toki, Japan|Chiba, Japan|Cordoba, Argentina|Oxford, England"),
    _near("IRFU2", "Institut de recherche sur les lois fondamentales de l'Univers|Instituto Nacional de Técnica Aeroespacial|INTA|INPE|Instituto Nacional de Pesquisas Espaciais|Istituto Nazionale Tumori|Ist Nazl Tumori", "Saclay, France|Madrid, Spain|Sao Jose dos Campos, Brazil|Milano, Italy|Napoli, Italy"),
)  # fmt: skip

DEPARTMENTS: tuple[str, ...] = _split(
    "Dipartimento di Fisica|Dept Phys|Dipartimento Fis|Department of Physics|Dip. di Fisica|Dip Fis|Dipartimento di Fisica e Astronomia"
    "|Dept Phys & Astron|Department of Physics and Astronomy|Physics Department|Dipartimento di Scienze Fisiche|Dip Sci Fis|Dipartimento di Matematica"
    "|Dept Math|Dipartimento di Ingegneria|Dipartimento di Chimica|Dept Chem|Dipartimento di Scienze Matematiche, Fisiche e Informatiche"
    "|Dipartimento di Scienze della Terra|Dept Elect Engn|Scuola di Specializzazione in Fisica Medica|Dept Informat Engn"
)
COUNTRIES: tuple[str, ...] = ("Italy", "Italy", "Italy", "Italy", "Italia", "ITALY", "Italie", "")
TOWNS_ELSEWHERE: tuple[str, ...] = _split(
    "Università di Palermo|Palermo;Università di Modena e Reggio Emilia|Modena;Univ Verona|Verona;Università dell'Insubria|Como"
    ";Univ Camerino|Camerino;Università di Urbino|Urbino;Univ Basilicata|Potenza;Politecnico delle Marche|Ancona;Univ Sassari|Sassari"
    ";Università Ca' Foscari|Venezia;Univ Bergamo|Bergamo;Univ Foggia|Foggia;Università Mediterranea|Reggio Calabria;Univ Enna Kore|Enna"
    .replace("|", "~").replace(";", "|")
)  # fmt: skip
FOREIGN: tuple[str, ...] = _split(
    "Univ Oxford, Dept Phys, Oxford, England|University of Cambridge, Cavendish Laboratory, Cambridge, UK|Harvard Univ, Cambridge, MA 02138 USA"
    "|Princeton University, Princeton, NJ 08544, USA|Universität Heidelberg, Physikalisches Institut, Heidelberg, Germany|Univ Hamburg, D-22761 Hamburg, Germany"
    "|DESY, D-22607 Hamburg, Germany|GSI Helmholtzzentrum für Schwerionenforschung, Darmstadt, Germany|Université Paris-Saclay, 91405 Orsay, France"
    "|Sorbonne Université, Paris, France|Univ Barcelona, Dept Fis Quant & Astrofis, Barcelona, Spain|Universidad Autónoma de Madrid, Madrid, Spain"
    "|Univ Lisbon, Lisbon, Portugal|Universidade de São Paulo, São Paulo, Brazil|University of Tokyo, Tokyo 113-0033, Japan|KEK, Tsukuba, Ibaraki, Japan"
    "|Tsinghua Univ, Beijing, China|Peking University, Beijing 100871, China|Lund Univ, Lund, Sweden|Niels Bohr Institute, University of Copenhagen, Denmark"
    "|University of Vienna, Vienna, Austria|Jagiellonian Univ, Krakow, Poland|Charles University, Prague, Czech Republic|Univ Ljubljana, Ljubljana, Slovenia"
    "|Jožef Stefan Institute, Ljubljana, Slovenia|Rudjer Boskovic Inst, Zagreb, Croatia|Univ Belgrade, Belgrade, Serbia|Univ Athens, Athens, Greece"
    "|Weizmann Inst Sci, Rehovot, Israel|TRIUMF, Vancouver, BC, Canada|University of Toronto, Toronto, ON, Canada|Univ Sydney, Sydney, NSW, Australia"
    "|ETH Zürich, Zürich, Switzerland|EPFL, Lausanne, Switzerland|Paul Scherrer Inst, Villigen, Switzerland|University of Bern, Bern, Switzerland"
    "|Imperial College London, London, UK|University College London, London WC1E 6BT, UK|SLAC, Menlo Park, CA 94025 USA|Stanford Univ, Stanford, CA 94305 USA"
    "|Caltech, Pasadena, CA 91125 USA|Univ Chicago, Chicago, IL 60637 USA|Columbia Univ, New York, NY 10027 USA|Yale University, New Haven, CT, USA"
    "|Moscow State University, Moscow, Russia|NRC Kurchatov Institute, Moscow, Russia|Tata Inst Fundamental Res, Mumbai, India|Univ Cape Town, South Africa"
    "|Univ Birmingham, Birmingham, England|University of Manchester, Manchester, UK|Univ Groningen, Groningen, Netherlands|University of Rome, Georgia, USA"
    "|Univ Buenos Aires, Buenos Aires, Argentina|UNAM, Instituto de Física, Ciudad de México, Mexico|Seoul Natl Univ, Seoul, South Korea|Padua Street Clinic, Liverpool, England"
    "|东京大学, 日本|Московский государственный университет, Москва, Россия|Πανεπιστήμιο Αθηνών, Αθήνα|جامعة القاهرة, مصر|北京大学物理学院, 北京, 中国"
)
PROSE: tuple[str, ...] = _split(
    "hello world|Independent researcher|N/A|none|The quick brown fox jumps over the lazy dog|Corresponding author|unknown|Deceased"
    "|e-mail: someone@example.org|Retired|Via Roma 1, Milano|Nel mezzo del cammin di nostra vita|Present address: Google, Mountain View, CA"
    "|Il dottore riceve il martedì a Bari|We thank the referee for useful comments|Funded by the European Union|To whom it may concern|0000-0001-2345-6789"
    "|Ospedale San Raffaele, Milano, Italy|Azienda Ospedaliera Universitaria Pisana, Pisa, Italy|IRCCS Policlinico San Matteo, Pavia, Italy|Policlinico Tor Vergata, Roma, Italy"
    "|Liceo Scientifico Galileo Galilei, Trieste, Italy|Comune di Frascati, Frascati, Italy|Parco Nazionale del Gran Sasso e Monti della Laga, Assergi, Italy"
    "|Leonardo SpA, Genova, Italy|STMicroelectronics, Catania, Italy|FIAT, Torino, Italy|Banca d'Italia, Roma|Istituto Zooprofilattico Sperimentale delle Venezie, Legnaro, Italy"
    "|Univ Padua, Agripolis, I-35020 Legnaro, Italy|Veneto Agricoltura, Legnaro (PD), Italy|Univ Padova, Dept DAFNAE, Legnaro, Padova, Italy|Sezione di Patologia, Azienda Ospedaliera, Perugia"
    "|Museo Civico, Ferrara, Italy|Aeronautica Militare, Roma, Italy|AUSL Romagna, Sezione di Ravenna"
)
