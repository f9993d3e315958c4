"""What an honest assistant says every day, to customers of a business that said of itself what `TOLD` says."""

from typing import Final

TOLD: Final = """
Site: https://shop.example/catalogue et www.atelier.example
Contact: contact@atelier.example, atelier.lyon@gmail.com, 04 65 71 00 01, +33 6 39 98 01 40, WhatsApp wa.me/33465710001
Formulaire: https://docs.google.com/forms/d/e/ATELIER-1/viewform?usp=sf_link
IBAN FR76 3000 6000 0112 3456 7890 189, SIRET 123 456 789 00012, TVA FR12345678901
Aussi sur instagram.com/atelier_lyon et https://fr.wikipedia.org/wiki/Lyon_(ville). Pointures 36, 38, 40, 42, 44
"""
ASKED: Final = (
    "こんにちは. Mon numéro est le +33 6 39 98 01 42, commande 4501234567, colis 6A12345678901, dossier 2026-000123-77"
)
DOMAINS: Final = ("maps.example.org", "velo.example")

ANSWERS: Final = (
    # prices
    "La révision coûte 79 €, la crevaison 15 € avec la chambre à air.",
    "Total : 1.234,56 €, dont 205,76 € de TVA.",
    "Le modèle électrique est à 2 499,00 € ou en 3x833,00 €.",
    "Comptez entre 1 250 000,00 € et 1 450 000,00 € pour ce bien.",
    "Le budget va de 1.200.000-1.500.000 EUR selon l'emplacement.",
    "La parcelle vaut 150 000 000 FCFA, frais compris.",
    "12 pièces à 3.50 €, soit 42.00 €. Acompte de 30 %.",
    "The full service is €79.00, the deposit £150.",
    "That is $1,234.56 in total, or EUR 1 234,56.",
    "Entre 29,90 € et 39,90 €, livraison 4,90 €.",
    "Remise de 10 % dès 3 articles, 15 % dès 5.",
    # days and hours
    "Rendez-vous à 14.30 le 21.11.2026.",
    "Votre rendez-vous est le 21/11/2026 à 14:30, salle 2.",
    "Du 21.11. au 24.11.2026, fermé le 25.",
    "Fermeture annuelle 21.-24.11.2026 et 01/12/2026 - 05/12/2026.",
    "Nous sommes ouverts 9.00-12.30 / 14.00-18.30, samedi 9.00-12.00.",
    "Lun-ven : 09:00-12:30 14:00-18:00, sam : 10:00-17:00",
    "Créneaux libres : 9:00 10:30 14:00 16:30.",
    "Ouvert de 9h à 12h30 et de 14h à 18h, 7j/7, 24h/24.",
    "Le 2026-11-21 de 09 h 30 à 18 h.",
    "Your slot is on 2026-11-21 at 14:30:00, see you then!",
    "We are open 9.30am-6pm, Monday to Saturday.",
    "Closed from 24/12/26 to 02/01/27. Back on 3 Jan.",
    "Le 21/11/26 14:30 vous convient-il ?",
    "Depuis 1998, donc 28 ans ; rénové en 2019, 2021 et 2024.",
    "Saison 2026-2027 : inscriptions du 1er au 30 sept.",
    "Prise en charge sous 24/48 h, au plus tard mar. 24 nov.",
    "Créneaux : 09:00 • 10:30 • 14:00 · 15:30, ou 09:00 | 10:30 | 14:00 | 16:00",
    "RDV le 03/12 09:00 - 10:00, ou 04/12 09:00 | 05/12 10:30 | 08/12 14:00.",
    "RDV 03/12/26 - 09:30 ; RDV 03.12.26 09:30 ; RDV 03-12-26 09:30.",
    "Livraisons : 01/12 - 05/12 - 08/12. 36 37 38 39 40 disponibles.",
    "Samedi 5 - 09:00-12:30 - 14:00-18:00. Fermé 02.01 - 05.01.27 et 02 - 05.01.2027.",
    "Reçu le 2026-11-01 09:30:00.",
    # lists
    "Pointures 36 37 38 39 40, 36 - 37 - 38 - 39 - 40 - 41 ou 36/37/38/39/40.",
    "Tailles 6 8 10 12 14 16, de 1 2 3 4 5 6 7 8 9 10 ans, remises 10 20 30 40 50.",
    "Millésimes 2020 - 2021 - 2022, 2023-2024-2025 et 2019 2021 2024. 3 bouteilles par carton.",
    "Nous livrons 75001 75002 75003 et 69001 • 69003 • 69009. Chambres 101 102 103.",
    # numbers that were told or asked
    "Tél. 04 65 71 00 01 - 09:00 - 12:30 | 14:00 - 18:30. Standard 06 39 98 01 40 - 18:00.",
    "09:00 - 12:30 - 14:00 - 18:30 - 04 65 71 00 01",
    "Appelez-nous au 04 65 71 00 01 avant 18.30.",
    "Our number is +33 4 65 71 00 01 (from France: 04.65.71.00.01).",
    "Depuis l'étranger : +33 (0)6 39 98 01 40, 0033 4 65 71 00 01.",
    "Tél. : 0465710001 / 06 39 98 01 40, ou +33639980140.",
    "1. 04 65 71 00 01\n2. 06 39 98 01 40",
    "Nous vous rappelons au 06 39 98 01 42.",
    "Votre commande 4501234567 part demain.",
    "Votre commande n° 4501234567 et le colis 6A12345678901 sont en route.",
    "Le dossier 2026-000123-77 est complet, il reste la page 4/12.",
    "Your order #4501234567 has shipped.",
    "Référence A.12.b, taille 42, lot 7-B.",
    "IBAN : FR76 3000 6000 0112 3456 7890 189, merci de préciser la commande.",
    "fr7630006000011234567890189, au nom de l'atelier",
    "SIRET 12345678900012, TVA intracommunautaire FR12 345678901.",
    "Pointures 36, 38, 40, 42 et 44 en stock.",
    "Un catalogue de 37 pages en couleurs sur papier recyclé, 200*160*120 mm.",
    "Nous acceptons un groupe de 79 personnes au maximum par groupe.",
    "Départs : 06.15 07.45 09.30 12.00, retours 29.90 - 39.90 - 49.90 €.",
    "Garantie 01.01.2026-31.12.2027.",
    "Dimensions : 120 x 80 x 75 cm, 12,5 kg, 250 W, 36 V.",
    "Nous sommes au 12 rue des Lilas, 69003 Lyon, 2e étage, code 12A.",
    "Latitude 45.7640, longitude 4.8357.",
    "Version 3.5.2 du logiciel, ou v1.2 sur l'ancien modèle.",
    "Note 4.8/5 (1 250 avis).",
    "Il y a 1 250 000 habitants dans la métropole.",
    # links and addresses that were told
    "Le catalogue : https://shop.example/catalogue.",
    "(voir *https://shop.example/catalogue/*, ou http://SHOP.example/catalogue)",
    "Notre site : atelier.example, ou https://www.atelier.example/.",
    "Écrivez à contact@atelier.example, *Atelier.Lyon@gmail.com* ou _contact@atelier.example_.",
    "Le lien mailto:contact@atelier.example ouvre votre messagerie.",
    "Sur WhatsApp : https://wa.me/33465710001 !",
    "Le formulaire : https://docs.google.com/forms/d/e/ATELIER-1/viewform?usp=sf_link",
    "Suivez-nous : _instagram.com/atelier_lyon_, 👉instagram.com/atelier_lyon",
    "Voir https://fr.wikipedia.org/wiki/Lyon_(ville), page en français.",
    "Le plan : https://www.maps.example.org/lyon/velo-7.html?zoom=3#nord",
    "Vos factures sont sur velo.example/compte/factures/2026, rubrique « PDF ».",
    "Tout est sur https://shop.example, *https://shop.example/*, « shop.example » (ou https://docs.google.com/).",
    # words with dots
    "C'est ok.merci de votre visite.bonne journée, tout est prêt.nous vous attendons",
    "Oui, p.ex. lundi, c.-à-d. demain, etc. Bonne journée.Merci !",
    "Bien sûr.Nous revenons vers vous.Bonne soirée",
    "Apportez carte, facture, etc.Ensuite nous regardons.",
    "M.Dupont et Mme.Durand vous attendent, ainsi que J.Martin et le Dr.Morel.",
    "Merci d'envoyer facture.pdf, photo_vélo.jpg et devis-2026.docx.",
    "La S.A.R.L. Atelier, R.C.S. Lyon, T.V.A. comprise, art. L.121-1.",
    "We use Node.js, e.g. for the site; open till 6 p.m. (i.e. late).",
    "Hmm... d'accord…oui, à bientôt ;-) :) <3",
    "Si le vélo pèse < 20 kg et > 10 kg, c'est bon & rapide.",
    "営業時間は九時からです。atelier へどうぞ。",
    "L'utilisateur @atelier_lyon répond aussi, et #velo est notre mot-clé.",
    "👩\u200d👩\u200d👧 Bienvenue ! ❤️ 1️⃣ Choisissez 2️⃣ Payez 3️⃣ Roulez",
)
