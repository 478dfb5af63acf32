// Sends the one form of the page; without script its button does the same (OAuth 2.0 Form Post Response Mode).
document.forms[0].submit();
