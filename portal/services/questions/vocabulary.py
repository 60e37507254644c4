"""The words questions about a status are made of, English and German, in the form `rules.folded` gives them."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STATUS = _words(
    "down downtime outage outages offline online work works working worked broken broke break unavailable unreachable "
    "reachable disruption disruptions interruption interruptions interrupted degraded fail fails failing failed "
    "failure failures crash crashed crashing dead status operational operating maintenance issue issues problem "
    "problems trouble troubles slow sluggish running runs run available availability up ok okay fine wrong affected "
    "fixed resolved restored back lag lagging laggy glitch glitches glitchy unstable stable flaky intermittent "
    "responding respond responds responsive unresponsive loading delayed delays normal normally functioning "
    "functional function health healthy borked kaputt happening stopped geht gehts gehen ging funktioniert "
    "funktionierts funktionieren funktionsfaehig funzt laeuft laeufts laufen klappt klappts ausgefallen ausfall "
    "ausfaelle faellt stoerung stoerungen gestoert problem probleme problemen tot erreichbar unerreichbar verfuegbar "
    "verfuegbarkeit zustand langsam lahm wartung wartungen wartungsarbeiten unterbrechung unterbrechungen "
    "unterbrochen spinnt streikt haengt abgestuerzt defekt los ordnung betrieb stabil instabil eingeschraenkt "
    "einschraenkung einschraenkungen betroffen behoben wiederhergestellt nichts weg tut"
)
"""What only somebody says who asks how something is."""

WEAK = _words(
    "up ok okay fine back run runs work works working running online available normal normally stable function "
    "happening los weg tut geht gehen laufen laeuft ordnung betrieb nichts fixed stopped"
)
"""Those of them that mean something else as often: they count in a question only."""

FRAMES = _words(
    "is are isnt arent has have does doesnt do dont any anyone whats why when ist sind hat haben gibt gibts warum "
    "wieso weshalb wann kein keine nicht geht gehts laeuft laeufts funktioniert funktionierts klappt klappts tut"
)
"""Words that make a question of a sentence with one of WEAK."""

NEGATIONS = _words(
    "cant cannot couldnt not wont unable dont doesnt didnt isnt arent no never nothing kein keine keinen nicht nichts "
    "nie"
)
WITHOUT = _words("no kein keine keinen")
"""With the name of a service, these say that there is none of it."""

ABILITIES = _words(
    "send sending receive receiving access connect connecting reach open load use using get getting make making call "
    "calling dial sync login log print senden empfangen verbinden erreichen oeffnen nutzen abrufen telefonieren "
    "zugreifen zugriff bekommen bekomme komme kommen kommt rein anmelden einloggen drucken verschicken erhalten sende "
    "empfange"
)
"""With one of NEGATIONS, these say that something does not work."""

STOP = _words(
    "through yesterday gestern vorgestern a an the teh hte this that these those it its they them my mine our ours "
    "your yours we us i im me you he she there here is are isnt arent am be been being was were has have had hasnt "
    "havent do does dont doesnt did didnt can could should would will wont shall may might must cant cannot couldnt "
    "unable what whats which who whos why when where how hows if whether or and but not no nor any anything anyone "
    "anybody some something somebody someone everything everyone everybody all nothing none every each else other "
    "others both to of for from with without on in at by about over since until than then so as just only really "
    "right now still again currently today tonight tomorrow yet already ever never soon always moment momentarily "
    "present presently going gone go goes get getting got keep keeps seem seems seeming appear appears look looks "
    "experience experiencing expect expected know known tell say says think check checking please pls thanks hi hello "
    "hey dear good morning afternoon evening service services system systems side end part bit lot kind sort way time "
    "long many much more less very too also longer completely totally partially entirely whole while send sending "
    "receive receiving access connect connecting reach open load use using make making call calling dial doing login "
    "log sync planned scheduled upcoming coming weekend week monday tuesday wednesday thursday friday saturday sunday "
    "next later night current use used der die das den dem des ein eine einen einem einer eines es sie er ich wir ihr "
    "euch uns unser unsere unseren unserem unserer mein meine meinen meinem meiner dein deine deinen deinem deiner "
    "euer eure ihre ihren ihrem mir mich dir dich man ist sind war waren bin seid sein hat habe haben hatte hatten "
    "wird werden wurde wurden kann koennen koennt konnte soll sollte muss darf was wer wie wo warum wieso weshalb "
    "wann welche welcher welches ob oder und aber nicht kein keine keinen keiner nein ja etwas irgendwas irgendetwas "
    "irgendwelche alles alle allen jemand niemand jeder andere anderen sonst zu zum zur von vom fuer aus mit ohne an "
    "am auf in im bei beim ueber um seit bis als dann so nur wirklich gerade jetzt noch wieder aktuell momentan "
    "derzeit heute morgen abend schon immer nie bald moment zurzeit zeit gibt gibts geben liegt vor es scheint "
    "scheinen sieht steht bitte danke hallo hey moin guten tag servus gruess gott dienst dienste dienstes system "
    "systeme seite teil bisschen viel sehr mehr auch denn eigentlich mal doch halt eben da hier dort gleich ganz "
    "komplett teilweise komisch dauernd staendig wissen weiss sagen sagt senden empfangen verbinden erreichen oeffnen "
    "nutzen abrufen zugreifen zugriff bekommen bekomme komme kommen kommt rein anmelden einloggen verschicken "
    "erhalten sende empfange geplant geplante geplanten kommende kommenden wochenende woche montag dienstag mittwoch "
    "donnerstag freitag samstag sonntag naechste naechsten spaeter nacht"
)
"""Words that name nothing, and so stand in no way of what is named."""

FILLERS = _words(
    "calls mails emails messages anrufe anrufen telefonate nachrichten "
    "team guys folks support customer customers user users people person staff office colleagues kunde kunden nutzer "
    "leute kollegen buero"
)
"""Words that name nothing either, unless a service is called by them."""

GENERIC = _words(
    "access connectivity connection connections line lines link links system systems service services account "
    "accounts anschluss anschluesse zugang verbindung verbindungen leitung leitungen dienst dienste systeme anlage "
    "anlagen konto konten"
)
"""What names of services end in without saying much: “internet” is enough for “Internet access”."""

IGNORABLE = _words(
    "connectivity connection connections line lines link links system systems service services "
    "anschluss anschluesse zugang verbindung verbindungen leitung leitungen dienst dienste system systeme"
)
"""Those of them that change nothing beside a name: an “email service” is email, an “email server” may not be."""

QUALIFIERS = _words("hosted managed business premium basic standard our gehostete gehosteter verwaltete verwalteter")
"""What names of services begin with without saying much."""

COMPOUND_ENDINGS = ("verbindungen", "verbindung", "zugang", "anschluss", "leitungen", "leitung", "dienste", "dienst")
"""What German writes behind a name without a space: an “Internetverbindung” is the internet."""

PLACES = _words("in at near around bei im am aus")
"""What stands before a place; the words that follow do not name a service."""

ERRANDS = (
    "how do i", "how do we", "how can i", "how can we", "how to", "how would i", "how should i", "set up", "sign up",
    "up to", "log out", "working hours", "opening hours", "phone number", "email address", "thank you", "write down",
    "run out", "keep up", "follow up", "back up my", "make sure", "call me", "call back", "who is responsible",
    "wie kann", "wie koennen", "wie muss", "wie richte", "wie melde", "wie bestelle", "wie aendere", "wie lege",
    "wie viel", "wie erreiche", "wie teuer", "wer ist", "vielen dank",
)  # fmt: skip
"""Phrases of somebody who wants something else than to know how a service is."""

ERRAND_WORDS = _words(
    "password passwords invoice invoices bill bills billing price prices pricing cost costs contract contracts order "
    "ordered orders buy purchase cancel cancellation upgrade downgrade quote quotes quotation job jobs ticket tickets "
    "appointment delivery refund training tutorial manual install installation setup configure thanks hire vacancy "
    "passwort passwoerter kennwort rechnung rechnungen preis preise kosten kostet vertrag vertraege bestellen "
    "bestellung bestellt kaufen kuendigen kuendigung angebot angebote auftrag auftraege termin termine lieferung "
    "schulung anleitung installieren einrichten einrichtung konfigurieren danke rufnummer oeffnungszeiten "
    "zuruecksetzen hinzufuegen"
)

PAST = _words(
    "was were yesterday ago war waren gestern vorgestern vorhin hatte hatten hatten letzte letzten letzter letztes last"
)
PRESENT = _words(
    "is are isnt arent now still currently today has have does doesnt ist sind jetzt noch gerade aktuell momentan "
    "heute hat haben geht gehts laeuft funktioniert klappt derzeit"
)
"""A question with words of the past and none of these is about what was; nobody asked how it is now."""

HOW_IT_IS = (
    "how is", "how are", "hows", "what about", "whats with", "whats up with", "what is wrong", "whats wrong",
    "was ist mit", "wie steht", "wie ist", "wie sind", "wie gehts", "wie siehts", "wie sieht", "whats the state",
    "what is the state", "state of",
)  # fmt: skip
"""Beginnings that ask how something is, where what they name is one of the services."""

ALONE = _words("status outage outages down downtime maintenance stoerung stoerungen ausfall ausfaelle wartung")
"""What is a question even as a single word."""
